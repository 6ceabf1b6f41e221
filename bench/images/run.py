"""Compares thumbnails with sharp's: CPU time, memory, and quality at equal bytes.

    python3 run.py --ours PROGRAM --score PROGRAM --photos DIR --work DIR [--rounds N] [--format table|json]

CPU time is user and system time of whole processes, as the system accounts for it. It is the time of a process that does
the work 22 times, minus that of one that does it twice, divided by 20, so that startup does not count. Memory is the
peak of a process that does the work once.
"""

import argparse
import glob
import itertools
import json
import math
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTHS = ["1600", "800", "320"]
# JPEG output is the same at each effort.
MADE = [("webp", "balanced"), ("webp", "fast"), ("jpeg", "balanced")]
SOURCES = ["jpeg", "png", "webp"]
QUALITY = "80"
# Qualities between which Gatepost's score at the peer's size is interpolated.
QUALITIES = ["70", "74", "77", "79", "80", "82", "85"]
PIXELS = "12192768"  # 4032 × 3024
FEW, MANY = 2, 22


def main():
    arguments = parse()
    os.makedirs(arguments.work, exist_ok=True)
    phone = sorted(glob.glob(f"{arguments.photos}/jscanify/package/docs/images/test/test[3-9].[jJ]*"))
    screen = sorted(glob.glob(f"{arguments.photos}/startbootstrap-clean-blog/package/dist/assets/img/*-bg.jpg"))
    if len(phone) + len(screen) < 10:
        sys.exit(
            f"bench/images: there are {len(phone) + len(screen)} photos below {arguments.photos}, but ten are needed"
        )
    photo_as = {}
    for source in SOURCES:
        photo_as[source] = f"{arguments.work}/photo-12mp.{extension(source)}"
        if not os.path.exists(photo_as[source]):
            run(["node", f"{HERE}/peer.mjs", "photo", phone[0], photo_as[source], PIXELS])
    photo = photo_as["jpeg"]
    report = {
        "cpu": cpu_name(),
        "photo": {"bytes": os.path.getsize(photo), "pixels": int(PIXELS)},
        "time": [],
        "quality": [],
    }
    # A JPEG to each format, and the other sources to the first one.
    timed = [("jpeg", each) for each in MADE] + [(each, MADE[0]) for each in SOURCES[1:]]
    for source, made in timed if arguments.rounds > 0 else []:
        row = time(arguments, photo_as[source], *made)
        report["time"].append({"source": source, "source_bytes": os.path.getsize(photo_as[source]), **row})
        show(arguments, report["time"][-1], table_of_time)
    for made in MADE:
        for row in quality(arguments, phone + screen, *made):
            report["quality"].append(row)
            show(arguments, row, table_of_quality)
    if arguments.format == "json":
        print(json.dumps(report))


def parse():
    parser = argparse.ArgumentParser()
    for name in ["ours", "score", "photos", "work"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--format", choices=["table", "json"], default="table")
    return parser.parse_args()


def commands(arguments, source, image_format, effort, quality_, prefix, repeat):
    """Gatepost's and the peer's time and memory; the effort applies to Gatepost only."""
    return {
        "gatepost": [arguments.ours, source, image_format, effort, quality_, f"{prefix}-ours", str(repeat), *WIDTHS],
        "sharp": [
            "node",
            f"{HERE}/peer.mjs",
            "thumbnails",
            source,
            image_format,
            quality_,
            f"{prefix}-sharp",
            str(repeat),
            *WIDTHS,
        ],
    }


def time(arguments, photo, image_format, effort):
    seconds = {"gatepost": [], "sharp": []}
    peak = {}
    prefix = f"{arguments.work}/timed"
    for _ in range(arguments.rounds):
        for name, each in seconds.items():
            usage = [
                spent(commands(arguments, photo, image_format, effort, QUALITY, prefix, n)[name]) for n in (FEW, MANY)
            ]
            each.append((usage[1][0] - usage[0][0]) / (MANY - FEW))
    for name in ("gatepost", "sharp"):
        peak[name] = spent(commands(arguments, photo, image_format, effort, QUALITY, prefix, 1)[name])[1]
    ratios = [sharp / ours for ours, sharp in zip(seconds["gatepost"], seconds["sharp"], strict=True)]
    return {
        "format": image_format,
        "effort": effort,
        "cpu_ms": {name: round(statistics.median(values) * 1000, 1) for name, values in seconds.items()},
        "ratio": round(statistics.median(ratios), 2),
        "peak_mb": {name: round(value / 1000, 1) for name, value in peak.items()},
        "bytes": {
            name: [os.path.getsize(f"{prefix}-{end}-{width}.{extension(image_format)}") for width in WIDTHS]
            for name, end in (("gatepost", "ours"), ("sharp", "sharp"))
        },
    }


def quality(arguments, photos, image_format, effort):
    """By width and reference: Gatepost's advantage at sharp's size, as median and mean over the photos."""
    found = {(width, reference): [] for width in WIDTHS for reference in ("linear", "gamma")}
    for index, photo in enumerate(photos):
        prefix = f"{arguments.work}/{index}"
        run(commands(arguments, photo, image_format, effort, QUALITY, prefix, 1)["sharp"])
        for value in QUALITIES:
            run(commands(arguments, photo, image_format, effort, value, f"{prefix}-q{value}", 1)["gatepost"])
        for width in WIDTHS:
            end = f"{width}.{extension(image_format)}"
            files = [f"{prefix}-sharp-{end}", *(f"{prefix}-q{value}-ours-{end}" for value in QUALITIES)]
            sharp, *ours = scores(arguments, photo, files)
            same = next(each for each, value in zip(ours, QUALITIES, strict=True) if value == QUALITY)
            for reference in ("linear", "gamma"):
                found[width, reference].append(
                    {
                        "difference": at_bytes(ours, reference, sharp["bytes"]) - sharp[reference],
                        "sharp": sharp[reference],
                        "bytes": same["bytes"] / sharp["bytes"],
                    }
                )
    for reference in ("linear", "gamma"):
        found["all", reference] = [value for width in WIDTHS for value in found[width, reference]]
    for (width, reference), values in found.items():
        differences = [value["difference"] for value in values]
        yield {
            "format": image_format,
            "effort": effort,
            "width": width,
            "reference": reference,
            "thumbnails": len(values),
            "difference": round(statistics.median(differences), 2),
            "mean": round(statistics.mean(differences), 2),
            "worst": round(min(differences), 2),
            "best": round(max(differences), 2),
            "sharp": round(statistics.median(value["sharp"] for value in values), 1),
            "bytes_at_same_quality": round(statistics.median(value["bytes"] for value in values), 3),
        }


def scores(arguments, photo, files):
    output = subprocess.run([arguments.score, photo, *files], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def at_bytes(ours, reference, wanted):
    """Gatepost's interpolated score at this many bytes: between two qualities, over the logarithm of the bytes; outside
    their range extrapolated from the last two."""
    points = sorted((math.log(each["bytes"]), each[reference]) for each in ours)
    wanted = math.log(wanted)
    pairs = list(itertools.pairwise(points))
    (x0, y0), (x1, y1) = next((pair for pair in pairs if wanted <= pair[1][0]), pairs[-1])
    return y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)


def spent(command):
    """The CPU seconds and peak kilobytes of a process."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"bench/images: {' '.join(command)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def run(command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def extension(image_format):
    return "jpg" if image_format == "jpeg" else image_format


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")


def show(arguments, row, table):
    if arguments.format == "table":
        print(table(row), flush=True)


def name_of(row):
    effort = row["effort"] if row["format"] == "webp" else ""
    return f"{row['format']} {effort:8}"


def table_of_time(row):
    cpu, peak = row["cpu_ms"], row["peak_mb"]
    return (
        f"12 MP {row['source']:4} to {'/'.join(WIDTHS)} {name_of(row)}  gatepost {cpu['gatepost']:6} ms CPU, {peak['gatepost']:5} MB"
        f"   sharp {cpu['sharp']:6} ms CPU, {peak['sharp']:5} MB   {row['ratio']} ×"
    )


def table_of_quality(row):
    return (
        f"SSIMULACRA2 at sharp's bytes, {name_of(row)} {row['width']:4}, {row['reference']:6} reference: "
        f"{row['difference']:+.2f} (mean {row['mean']:+.2f}, {row['worst']:+.2f} to {row['best']:+.2f}, sharp {row['sharp']}, {row['thumbnails']} thumbnails);"
        f" bytes at quality {QUALITY}: {row['bytes_at_same_quality']} ×"
    )


main()
