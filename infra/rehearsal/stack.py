"""The stack under rehearsal: its packages, its Terraform, and its functions, called as CloudFront would call them.

rehearse.py and modes.py use it. All of its calls go to MiniStack, and none to AWS.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config

from roles import Roles

REGION = "eu-central-1"
# Public test keys.
KEYS = pathlib.Path("url-signing/tests/keys")
# A public test secret.
SECRET = "a test secret of at least thirty-two bytes"
ISSUER = "https://login.example.com/"
# The key of sessions, in the packages and in the store of mode function.
SESSION_KEY = "session"
SESSION_SECRET = "another test secret of thirty-two bytes or more"
PATIENCE = 120

started = time.monotonic()
chapter = ""


def begin(name):
    """Names what the next lines of the log are about."""
    global chapter
    chapter = f"{name}: " if name else ""


def line(sentence):
    return f"{time.monotonic() - started:7.1f} s  {sentence}"


def say(sentence):
    print(line(chapter + sentence), flush=True)


def check(holds, sentence):
    if not holds:
        sys.exit(line(f"NOT SO: {chapter}{sentence}"))
    say(sentence)


def token(subject):
    encode = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    header = encode(json.dumps({"alg": "HS256", "kid": "test"}).encode())
    claims = {"iss": ISSUER, "aud": "media", "sub": subject, "exp": int(time.time()) + 3600}
    signed = header + b"." + encode(json.dumps(claims).encode())
    signature = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + encode(signature)).decode()


class Stack:
    def __init__(self, options):
        self.folder, self.dist = options.stack, options.stack / "dist"
        self.endpoint, self.gatepost = options.endpoint, options.gatepost
        self.roles = Roles(options.functions_port, options.endpoint)
        # S3's host, as the functions know it and sign for.
        self.s3_host = f"127.0.0.1:{options.functions_port}"
        self.outputs = {}
        self.s3, self.sqs = self.client("s3"), self.client("sqs")

    def client(self, name, region=REGION):
        return boto3.client(
            name,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def host(self):
        return self.outputs["distribution_domain"]

    def distribution(self):
        """The distribution's configuration, as it is deployed."""
        found = self.client("cloudfront").get_distribution_config(Id=self.outputs["distribution_id"])
        return found["DistributionConfig"]

    def code_of(self, function):
        """The code of a CloudFront Function, as it is published."""
        return self.client("cloudfront").get_function(Name=function, Stage="LIVE")["FunctionCode"].read()

    def wait_for(self, what, ask):
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            found = ask()
            if found:
                return found
            time.sleep(0.5)
        sys.exit(f"waited {PATIENCE} s for {what}; refused on the way: {self.roles.refused}")

    # Packages and Terraform

    def package(self, widths, mode):
        configuration = self.folder / "gatepost.toml"
        (self.folder / "secret").write_text(SECRET)
        (self.folder / "session-secret").write_text(SESSION_SECRET)
        # In mode function the secrets of sessions are in no package.
        key = f'{{ kid = "{SESSION_KEY}", file = "session-secret" }}'
        session = f"[session]\nsecrets = [{key}]" if mode != "function" else ""
        configuration.write_text(
            f"""
            [[issuers]]
            issuer     = "{ISSUER}"
            audiences  = ["media"]
            algorithms = ["HS256"]
            secrets    = [{{ kid = "test", file = "secret" }}]
            [token]
            from = ["authorization", "cookie:__Host-gatepost"]
            [delivery]
            mode = "{mode}"
            {session}
            [sign_in]
            client_id = "gatepost"
            authorize = "{ISSUER}authorize"
            token     = "{ISSUER}oauth/token"
            [[rules]]
            path  = "/media/{{owner}}/**"
            allow = "owner"
            [cors]
            origins = ["https://app.example.com"]
            [renditions]
            widths = {widths}
            """
        )
        subprocess.run(
            [self.gatepost, "package", "--config", configuration, "--out", self.dist],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return json.loads((self.dist / "manifest.json").read_text())

    def terraform(self, *command, allow=(0,)):
        run = subprocess.run(
            ["terraform", f"-chdir={self.folder}", *command], check=False, capture_output=True, text=True
        )
        if run.returncode not in allow:
            sys.exit(f"terraform {' '.join(command)}\n{run.stdout[-6000:]}\n{run.stderr[-6000:]}")
        return run

    def sign_links_with(self, public, private, next=None, former=()):
        """Sets the key that signs links from the next apply on, the next key, and the former ones."""
        pem = lambda name: (KEYS / name).read_text()
        keys = {
            "public": pem(public),
            "private": pem(private),
            "next": next and pem(next),
            "former": [pem(name) for name in former],
        }
        (self.folder / "links.auto.tfvars.json").write_text(json.dumps({"link_keys": keys}))

    def sign_no_links(self):
        (self.folder / "links.auto.tfvars.json").unlink()

    def apply(self):
        command = ("apply", "-auto-approve", "-input=false")
        run = self.terraform(*command, allow=(0, 1))
        if run.returncode == 1:
            # The emulator made a change, and its answer was lost. It refuses the provider's repetition, which has the
            # ETag from before.
            if "PreconditionFailed" not in run.stderr:
                sys.exit(f"terraform apply\n{run.stdout[-6000:]}\n{run.stderr[-6000:]}")
            self.terraform(*command)
        shown = json.loads(self.terraform("show", "-json").stdout)
        for resource in shown["values"]["root_module"]["child_modules"][0]["resources"]:
            self.note(resource["address"], resource["type"], resource["values"])
        outputs = json.loads(self.terraform("output", "-json").stdout)
        self.outputs = {name: value["value"] for name, value in outputs.items()}

    def note(self, address, type, values):
        """Tells the proxy what a resource permits."""
        functions = {
            "module.gatepost.aws_iam_role_policy.processor": "gatepost-upload-processor",
            "module.gatepost.aws_iam_role_policy.api": "gatepost-signing-api",
            "module.gatepost.aws_iam_role_policy.invalidation": "gatepost-signing-api",
        }
        if address in functions:
            self.roles.grant(functions[address], address, values["policy"])
        if type == "aws_lambda_function":
            self.roles.assign(values["function_name"], values["role"])
        if type == "aws_s3_bucket_policy":
            self.roles.guard(values["bucket"], values["policy"])

    def plan_again(self):
        self.terraform("plan", "-detailed-exitcode", "-input=false", "-out=again", allow=(0, 2))
        actions = json.loads(self.terraform("show", "-json", "again").stdout)
        surprises = sorted(
            change["address"]
            for change in actions.get("resource_changes", [])
            if change["change"]["actions"] not in (["no-op"], ["read"])
        )
        # MiniStack forgets these resources' fields: see the list in docs/deploying.md.
        forgotten = [
            name
            for name in surprises
            if name.startswith(
                (
                    "module.gatepost.aws_cloudfront_response_headers_policy.",
                    "module.gatepost.aws_cloudwatch_metric_alarm.",
                )
            )
        ]
        others = [name for name in surprises if name not in forgotten]
        check(others == [], f"a second plan has nothing to do but {len(forgotten)} that the emulator forgets {others}")

    def push_session_key(self):
        options = {
            "--kid": SESSION_KEY,
            "--propagation": "0s",
            "--endpoint-url": self.endpoint,
            "--store": self.outputs["session_store_arn"],
            "--secret": self.outputs["session_secret_arn"],
        }
        run = subprocess.run(
            [self.gatepost, "session-key", "push", *(part for option in options.items() for part in option)],
            check=False,
            capture_output=True,
            input=f"{SESSION_SECRET}\n",
            text=True,
            env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
        )
        failure = run.stderr if run.returncode else ""
        check(run.returncode == 0, f"the key of sessions is in the store and in the API's secret {failure}".rstrip())

    # Calls

    def invoke(self, function, event, region=REGION):
        answer = self.client("lambda", region).invoke(FunctionName=function, Payload=json.dumps(event))
        payload = answer["Payload"].read()
        if answer.get("FunctionError"):
            sys.exit(f"{function} fails: {payload}")
        return json.loads(payload)

    def call(self, subject, method, path, body=None, cookies=()):
        """A call in CloudFront's form, after the function at the edge. Without a subject there is no token."""
        headers = {
            "host": "api",
            "content-type": "application/json",
            "x-gatepost-distribution": self.host(),
            "x-gatepost-distribution-id": self.outputs["distribution_id"],
            "x-gatepost-host": self.host(),
        }
        if subject:
            headers["x-gatepost-authorization"] = f"Bearer {token(subject)}"
        return self.invoke(
            "gatepost-signing-api",
            {
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": path,
                "rawQueryString": "",
                "cookies": list(cookies),
                "headers": headers,
                "isBase64Encoded": False,
                "body": json.dumps(body) if body is not None else None,
                "requestContext": {
                    "accountId": "anonymous",
                    "apiId": "api",
                    "domainName": "api",
                    "domainPrefix": "api",
                    "requestId": "1",
                    "routeKey": "$default",
                    "stage": "$default",
                    "time": "25/Nov/2026:12:00:00 +0000",
                    "timeEpoch": 1795608000000,
                    "http": {
                        "method": method,
                        "path": path,
                        "protocol": "HTTP/1.1",
                        "sourceIp": "192.0.2.7",
                        "userAgent": "rehearsal",
                    },
                },
            },
        )

    def api(self, subject, method, path, body=None, cookies=()):
        answer = self.call(subject, method, path, body, cookies)
        return answer["statusCode"], json.loads(answer["body"]) if answer.get("body") else None

    def edge(self, path, headers):
        """A viewer's request at Lambda@Edge: the response, or the forwarded request."""
        return self.invoke(
            self.outputs["edge_function_name"],
            {
                "Records": [
                    {
                        "cf": {
                            "config": {
                                "distributionDomainName": "d111111abcdef8.cloudfront.net",
                                "distributionId": "E123",
                                "eventType": "viewer-request",
                                "requestId": "1",
                            },
                            "request": {
                                "clientIp": "192.0.2.7",
                                "method": "GET",
                                "uri": path,
                                "querystring": "",
                                "headers": {name: [{"key": name, "value": value}] for name, value in headers.items()},
                            },
                        }
                    }
                ]
            },
            "us-east-1",
        )

    def post(self, form, content):
        boundary = "a-boundary-that-no-photo-holds"
        body = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in form["fields"].items()
        )
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo"\r\n\r\n'.encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        # The form's own address leads to AWS or to CloudFront; MiniStack's addresses have the bucket in the path.
        url = f"{self.endpoint}/{self.outputs['upload_bucket']}"
        request = urllib.request.Request(url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            sys.exit(f"the form is refused: {error.code} {error.read()}")

    def upload(self, subject, content):
        status, form = self.api(subject, "POST", "/api/uploads", {"content_type": "image/jpeg", "size": len(content)})
        check(status == 201, f"a form is handed out to {subject}")
        check(self.post(form, content) == 204, "the bucket takes the form")
        return form

    def settled(self, subject, id):
        def ask():
            status, answer = self.api(subject, "GET", f"/api/uploads/{id}")
            return answer if status == 200 and answer["status"] != "pending" else None

        return self.wait_for("a manifest", ask)

    def receive(self, queue):
        """Receives and deletes all messages of a queue."""
        received = self.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = received.get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    def invalidated(self):
        """The paths of all invalidations of the distribution."""
        cloudfront, id = self.client("cloudfront"), self.outputs["distribution_id"]
        found = cloudfront.list_invalidations(DistributionId=id)["InvalidationList"].get("Items", [])
        details = [cloudfront.get_invalidation(DistributionId=id, Id=one["Id"])["Invalidation"] for one in found]
        return sorted(path for one in details for path in one["InvalidationBatch"]["Paths"]["Items"])
