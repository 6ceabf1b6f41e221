"""Signs upload forms with boto3 for this many seconds; prints the nanoseconds per form."""

import sys
import time

import boto3
from botocore.config import Config

seconds = float(sys.argv[1])
s3 = boto3.client(
    "s3",
    region_name="eu-central-1",
    aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
    aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    aws_session_token="t" * 400,
    config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
)


def form(n):
    fields = {"Content-Type": "image/jpeg", "x-amz-meta-filename": "beach.jpg"}
    conditions = [{name: value} for name, value in fields.items()]
    return s3.generate_presigned_post(
        "example-uploads",
        f"uploads/mvbss32xiycek3hlzhe6yejbn4/{n:026}",
        Fields=fields,
        Conditions=[*conditions, ["content-length-range", 1, 26214400]],
        ExpiresIn=300,
    )


assert len(form(0)["fields"]) == 9
started, n = time.perf_counter(), 0
while time.perf_counter() - started < seconds:
    for _ in range(20):
        n += 1
        form(n)
print(round((time.perf_counter() - started) / n * 1e9))
