"""Signs test cases with botocore: cases in JSON on stdin, results on stdout."""

import datetime
import json
import sys

import boto3
import botocore.auth
import botocore.signers
from botocore.config import Config


def at(second):
    return lambda *_: datetime.datetime.fromtimestamp(second, datetime.timezone.utc).replace(tzinfo=None)


def client(case):
    return boto3.client(
        "s3",
        region_name=case["region"],
        aws_access_key_id=case["access_key_id"],
        aws_secret_access_key=case["secret_access_key"],
        aws_session_token=case["session_token"],
        config=Config(
            signature_version="s3v4",
            # By default it uses the global host, which some regions answer with a redirect.
            s3={
                "addressing_style": "path" if "." in case["bucket"] else "virtual",
                "us_east_1_regional_endpoint": "regional",
            },
        ),
    )


def sign(case):
    # Its clock is read in both places.
    botocore.auth.get_current_datetime = at(case["now"])
    botocore.signers.get_current_datetime = at(case["now"])
    s3 = client(case)
    if case["kind"] == "get":
        parameters = {"Bucket": case["bucket"], "Key": case["key"], **case["parameters"]}
        return {"url": s3.generate_presigned_url("get_object", parameters, case["expires_in"])}
    return s3.generate_presigned_post(
        case["bucket"],
        case["key"],
        Fields=case["fields"],
        Conditions=case["conditions"],
        ExpiresIn=case["expires_in"],
    )


json.dump([sign(case) for case in json.load(sys.stdin)], sys.stdout)
