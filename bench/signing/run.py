"""Times the signing of one upload form by Gatepost, boto3 and the AWS SDK for JavaScript, in turns; prints the medians."""

import argparse
import os
import statistics
import subprocess
import sys

ROUNDS = 7
SECONDS = "1"

arguments = argparse.ArgumentParser()
arguments.add_argument("--ours", required=True)
ours = arguments.parse_args().ours
folder = os.path.dirname(os.path.abspath(__file__))
competitors = {
    "url-signing": [ours],
    "boto3": [sys.executable, f"{folder}/time_boto3.py"],
    "@aws-sdk/s3-presigned-post": ["node", f"{folder}/time-sdk.mjs"],
}
took = {name: [] for name in competitors}
for _ in range(ROUNDS):
    for name, command in competitors.items():
        found = subprocess.run(
            [*command, SECONDS],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )
        took[name].append(int(found.stdout))

own = statistics.median(took["url-signing"])
print(f"a POST form signed, {ROUNDS} rounds of {SECONDS} s each in turns, one thread; median (least to most)")
for name, nanoseconds in took.items():
    middle = statistics.median(nanoseconds)
    least, most = min(nanoseconds), max(nanoseconds)
    print(f"{name:30} {middle / 1e3:9.2f} us ({least / 1e3:.2f} to {most / 1e3:.2f})  {middle / own:7.1f} x")
