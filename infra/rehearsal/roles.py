"""What MiniStack leaves out: it lets everybody do everything. Here every call of a function's, on its way to MiniStack,
is held against the policy of the function's role, and refused as AWS would refuse it. A function is known by the name
that it gives to the SDK (AWS_SDK_UA_APP_ID).
"""

import fnmatch
import http.client
import http.server
import json
import re
import threading
import urllib.parse

# Of S3's calls those that the functions make; whatever else comes is refused.
OBJECT_CALLS = {
    ("GET", ""): "s3:GetObject", ("HEAD", ""): "s3:GetObject", ("PUT", ""): "s3:PutObject", ("DELETE", ""): "s3:DeleteObject",
    ("GET", "tagging"): "s3:GetObjectTagging", ("PUT", "tagging"): "s3:PutObjectTagging",
}


class Roles:
    """A way to MiniStack that knows who may do what."""

    def __init__(self, port, target):
        self.target = urllib.parse.urlsplit(target).netloc
        self.policies = {}
        self.made, self.refused = set(), []
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def grant(self, function, policy):
        """Holds a function's calls against a role's policy from now on."""
        self.policies[function] = json.loads(policy)["Statement"]

    def may(self, function, action, resource):
        return any(
            statement["Effect"] == "Allow"
            and any(fnmatch.fnmatchcase(action, granted) for granted in listed(statement["Action"]))
            and any(fnmatch.fnmatchcase(resource, granted) for granted in listed(statement["Resource"]))
            for statement in self.policies.get(function, [])
        )

    def judge(self, method, path, headers, body):
        """Notes a call, and says why it is refused, if it is."""
        agent = f"{headers.get('user-agent', '')} {headers.get('x-amz-user-agent', '')}"
        named = re.search(r"\bapp/(\S+)", agent)
        function = named.group(1) if named else "nobody"
        action, resource = understood(method, path, headers, body)
        if self.may(function, action, resource):
            self.made.add((function, action))
            return None
        self.refused.append(f"{function} may not {action} {resource}")
        return self.refused[-1]


def understood(method, path, headers, body):
    """The action and the resource of a call, as a policy names them."""
    _, _, region, service, *_ = (headers.get("authorization", "") + "////").split("/")
    address = urllib.parse.urlsplit(path)
    query = urllib.parse.parse_qs(address.query, keep_blank_values=True)
    if service == "s3":
        bucket, _, key = urllib.parse.unquote(address.path.lstrip("/")).partition("/")
        if not key:
            return ("s3:ListBucket" if "list-type" in query else "s3:Unknown"), f"arn:aws:s3:::{bucket}"
        subresource = "tagging" if "tagging" in query else ""
        return OBJECT_CALLS.get((method, subresource), "s3:Unknown"), f"arn:aws:s3:::{bucket}/{key}"
    if service == "sqs":
        account, queue = json.loads(body)["QueueUrl"].split("/")[-2:]
        return f"sqs:{headers['x-amz-target'].split('.')[1]}", f"arn:aws:sqs:{region}:{account}:{queue}"
    if service == "sts":
        form = urllib.parse.parse_qs(body.decode())
        return f"sts:{form['Action'][0]}", form.get("RoleArn", ["*"])[0]
    return f"{service}:Unknown", "*"


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
                return self.answer(403, [], f"<Error><Code>AccessDenied</Code><Message>{refusal}</Message></Error>".encode())
            onward = http.client.HTTPConnection(roles.target, timeout=60)
            onward.request(self.command, self.path, body, headers)
            answer = onward.getresponse()
            self.answer(answer.status, answer.getheaders(), answer.read())
            onward.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

    return Handler
