"""Permissions, which MiniStack does not evaluate. A proxy checks every call of a function on its way to MiniStack against
the policy of the function's role, and refuses it as AWS would. It knows a function by the name that it gives to the SDK
(AWS_SDK_UA_APP_ID), and the API also by the services that it alone calls, without the SDK. It also refuses calls that a
bucket's policy denies.
"""

import fnmatch
import http.client
import http.server
import json
import re
import threading
import urllib.parse
import xml.etree.ElementTree

# MiniStack's.
ACCOUNT = "000000000000"
# Called by the crate aws-call, which does not name the function.
CALLERS = {"cloudfront": "gatepost-signing-api", "secretsmanager": "gatepost-signing-api"}
# Of S3's calls those that the functions make; any other call is refused. Calls about a version have separate actions.
OBJECT_CALLS = {
    ("GET", ""): "s3:GetObject",
    ("HEAD", ""): "s3:GetObject",
    ("PUT", ""): "s3:PutObject",
    ("DELETE", ""): "s3:DeleteObject",
    ("GET", "tagging"): "s3:GetObjectTagging",
    ("PUT", "tagging"): "s3:PutObjectTagging",
}
VERSION_CALLS = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
BUCKET_CALLS = {("GET", "list-type"): "s3:ListBucket", ("GET", "versions"): "s3:ListBucketVersions"}


class Roles:
    """A proxy to MiniStack that evaluates permissions."""

    def __init__(self, port, target):
        self.target = urllib.parse.urlsplit(target).netloc
        self.roles, self.policies, self.bucket_policies = {}, {}, {}
        self.made, self.refused = set(), []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def assign(self, function, role):
        """Names a function's role from now on."""
        self.roles[function] = role

    def grant(self, function, name, policy):
        """Checks a function's calls against one of its role's policies from now on."""
        self.policies.setdefault(function, {})[name] = json.loads(policy)["Statement"]

    def guard(self, bucket, policy):
        """Checks all calls against the denials of a bucket's policy from now on."""
        self.bucket_policies[bucket] = json.loads(policy)["Statement"]

    def may(self, function, action, resource, context):
        denied = any(
            statement["Effect"] == "Deny"
            and is_about(statement, self.roles.get(function))
            and matches(statement, action, resource)
            and holds(statement, context, unknown=True)
            for policy in self.bucket_policies.values()
            for statement in policy
        )
        return not denied and any(
            statement["Effect"] == "Allow"
            and matches(statement, action, resource)
            and holds(statement, context, unknown=False)
            for policy in self.policies.get(function, {}).values()
            for statement in policy
        )

    def judge(self, method, path, headers, body):
        """Records a call, and returns the reason if it is refused."""
        agent = f"{headers.get('user-agent', '')} {headers.get('x-amz-user-agent', '')}"
        named = re.search(r"\bapp/(\S+)", agent)
        function = named.group(1) if named else CALLERS.get(service_of(headers)[1], "nobody")
        context = context_of(headers)
        calls = understood(method, path, headers, body)
        refused = [
            f"{function} may not {action} {resource}"
            for action, resource in calls
            if not self.may(function, action, resource, context)
        ]
        if refused:
            self.refused += refused
            return refused[0]
        self.made |= {(function, action) for action, _ in calls}
        return None


def is_about(statement, role):
    """Whether a statement of a bucket's policy names everybody, or this role."""
    principal = statement["Principal"]
    named = [principal] if principal == "*" else listed(principal.get("AWS", []))
    return "*" in named or role in named


def matches(statement, action, resource):
    """Whether a statement applies to a call."""
    return any(fnmatch.fnmatchcase(action, named) for named in listed(statement["Action"])) and any(
        fnmatch.fnmatchcase(resource, named) for named in listed(statement["Resource"])
    )


def holds(statement, context, unknown):
    """Whether all conditions of a statement hold; a condition that is not understood is `unknown`."""

    def one(operator, key, values):
        found = context.get(key)
        if operator == "Null":
            return listed(values) == ["true" if found is None else "false"]
        if operator in ("StringEquals", "Bool"):
            return found in listed(values)
        return unknown

    return all(
        one(operator, key, values)
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def context_of(headers):
    """The keys that conditions can use. MiniStack has no TLS, unlike AWS."""
    context = {"aws:SecureTransport": "true"}
    for name in ("if-match", "if-none-match"):
        if name in headers:
            context[f"s3:{name}"] = headers[name]
    for key, value in urllib.parse.parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True):
        context[f"s3:RequestObjectTag/{key}"] = value
    return context


def service_of(headers):
    """The region and the service of a call, from the scope of its signature."""
    _, _, region, service, *_ = (headers.get("authorization", "") + "////").split("/")
    return region, service


def understood(method, path, headers, body):
    """The actions and the resources of a call, in a policy's terms."""
    region, service = service_of(headers)
    address = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(address.query, keep_blank_values=True)
    if service == "s3":
        bucket, _, key = urllib.parse.unquote(address.path.lstrip("/")).partition("/")
        arn = f"arn:aws:s3:::{bucket}"
        if not key and method == "POST" and "delete" in query:
            return deletes(arn, body)
        if not key:
            return [
                (
                    next(
                        (action for (of, name), action in BUCKET_CALLS.items() if of == method and name in query),
                        "s3:Unknown",
                    ),
                    arn,
                )
            ]
        action = OBJECT_CALLS.get((method, "tagging" if "tagging" in query else ""), "s3:Unknown")
        calls = [(VERSION_CALLS.get(action, "s3:Unknown") if "versionId" in query else action, f"{arn}/{key}")]
        if action == "s3:PutObject" and "x-amz-tagging" in headers:
            calls.append(("s3:PutObjectTagging", f"{arn}/{key}"))
        return calls
    if service == "sqs":
        account, queue = json.loads(body)["QueueUrl"].split("/")[-2:]
        # A batch is the same action.
        return [
            (
                f"sqs:{headers['x-amz-target'].split('.')[1].removesuffix('Batch')}",
                f"arn:aws:sqs:{region}:{account}:{queue}",
            )
        ]
    if service == "sts":
        form = urllib.parse.parse_qs(body.decode())
        return [(f"sts:{form['Action'][0]}", form.get("RoleArn", ["*"])[0])]
    if service == "secretsmanager":
        return [(headers["x-amz-target"].replace(".", ":"), json.loads(body)["SecretId"])]
    if service == "cloudfront" and method == "POST" and address.path.endswith("/invalidation"):
        distribution = address.path.split("/")[-2]
        return [("cloudfront:CreateInvalidation", f"arn:aws:cloudfront::{ACCOUNT}:distribution/{distribution}")]
    return [(f"{service}:Unknown", "*")]


def deletes(arn, body):
    """All objects that one call deletes."""
    calls = []
    for named in xml.etree.ElementTree.fromstring(body).iter():
        if named.tag.rpartition("}")[2] == "Object":
            parts = {part.tag.rpartition("}")[2]: part.text for part in named}
            calls.append(
                ("s3:DeleteObjectVersion" if parts.get("VersionId") else "s3:DeleteObject", f"{arn}/{parts.get('Key')}")
            )
    return calls or [("s3:Unknown", arn)]


def listed(value):
    return [value] if isinstance(value, str) else value


def handler(roles):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, headers, body):
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def pass_on(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            refusal = roles.judge(self.command, self.path, headers, body)
            if refusal:
                return self.answer(
                    403, [], f"<Error><Code>AccessDenied</Code><Message>{refusal}</Message></Error>".encode()
                )
            onward = http.client.HTTPConnection(roles.target, timeout=60)
            onward.request(self.command, self.path, body, headers)
            answer = onward.getresponse()
            self.answer(answer.status, answer.getheaders(), answer.read())
            onward.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    return Handler
