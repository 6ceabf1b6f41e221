"""The modes of delivery after `lambda`: the same stack is switched to each of them, and its core flow is played.

rehearse.py calls `rehearse`. MiniStack serves no requests at the distribution, so what CloudFront would decide is shown
by other means: the gate runs in njs, the cookies are verified with the public key, and presigned URLs are sent to
MiniStack's S3 with the host that CloudFront would set, and it checks their signatures.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

from stack import KEYS, begin, check, say

SESSION = "__Host-gatepost"
# Names the folders that have cookies, for the calls that remove these.
NOTE, NOTE_PATH = "__Host-gatepost-folders", "/"
SIGNED = {"CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id", "CloudFront-Hash-Algorithm"}
# A removal also names the cookie of other policies.
REMOVED = SIGNED | {"CloudFront-Expires"}

# Calls the gate with one event, and writes its answer. njs 0.7.9 crashes if an await is within the arguments of a call.
RUNNER = """
import fs from 'fs'
async function run() {
  console.log = () => {}
  const event = JSON.parse(fs.readFileSync(process.argv[2]))
  event.request.rawQueryString = () => undefined
  const answer = await handler(event)
  fs.writeFileSync(process.argv[3], JSON.stringify(answer))
}
run()
"""


def rehearse(stack, photo, session, link_key):
    """Switches to each mode in turn. `session` is alice's in mode lambda, and `link_key` the file of the public key whose
    private half signs."""
    stack.push_session_key()
    for mode, flow in {
        "function": lambda: function(stack, photo, session),
        "signed": lambda: signed(stack, photo, link_key),
        "presigned": lambda: presigned(stack, photo),
    }.items():
        begin(f"mode {mode}")
        manifest = stack.package([200], mode)
        check(manifest["delivery"]["mode"] == mode and manifest["edge_auth"] is None, "packaged, without Lambda@Edge")
        buckets = {name: stack.outputs[name] for name in ("upload_bucket", "media_bucket", "distribution_id")}
        stack.apply()
        check(
            stack.outputs["config_sha256"] == manifest["config_sha256"] and buckets.items() <= stack.outputs.items(),
            "applied, with the same buckets and the same distribution",
        )
        flow()
        check(stack.roles.refused == [], f"all of that with what the roles grant: {stack.roles.refused}")
        stack.plan_again()


def sign_in(stack, subject):
    """The answer, and its session as a cookie."""
    answer = stack.call(subject, "POST", "/api/session")
    check(answer["statusCode"] == 201, f"{subject} signs in")
    [session] = [line.split(";")[0] for line in answer["cookies"] if line.startswith(f"{SESSION}=")]
    return answer, session


def uploaded(stack, photo, session):
    """Uploads a photo, and answers with its first rendition as the gallery tells it to alice's browser."""
    form = stack.upload("alice", photo)
    ready = stack.settled("alice", form["id"])
    check(ready["status"] == "ready", "the packaged processor finished it")
    status, gallery = stack.api(None, "GET", "/api/media", cookies=[session])
    found = [item for item in gallery["items"] if item["id"] == form["id"]]
    check(status == 200 and len(found) == 1, "alice's session sees it in her gallery")
    return form, found[0]["renditions"][0]


# function


def function(stack, photo, earlier):
    status, _ = stack.api(None, "GET", "/api/session", cookies=[earlier])
    check(status == 200, "the API accepts alice's session of mode lambda at once, because the store had its key before")
    _, session = sign_in(stack, "alice")
    _, rendition = uploaded(stack, photo, session)
    check(rendition["url"] == rendition["path"], "the gallery names the path, which her session opens")
    code = stack.code_of("gatepost-gate")
    check(code == (stack.dist / "gate.js").read_bytes(), "the gate is deployed as it was packaged")
    if not shutil.which("njs"):
        say("njs is not installed, so nothing shows what the gate decides")
        return
    _, another = sign_in(stack, "bob")
    path, secrets = rendition["path"], stored_secrets(stack)
    allowed = gate(code, secrets, path, session)
    check(
        allowed.get("uri") == f"/o{path}" and SESSION not in allowed["cookies"],
        "the gate lets alice through, with the store's key, and adds the prefix",
    )
    check(gate(code, secrets, path, earlier).get("uri") == f"/o{path}", "with her session of mode lambda as well")
    check(gate(code, secrets, path, another)["statusCode"] == 403, "the gate refuses bob")
    check(gate(code, secrets, path, None)["statusCode"] == 401, "the gate refuses somebody unknown")
    check(gate(code, {}, path, session)["statusCode"] == 401, "and alice, if the store does not have her key")


def stored_secrets(stack):
    """The entries of the KeyValueStore. AWS's SDK would put the account into the host's name."""
    store = urllib.parse.quote(stack.outputs["session_store_arn"], safe="")
    listed = json.loads(urllib.request.urlopen(f"{stack.endpoint}/key-value-stores/{store}/keys").read())
    return {item["Key"]: item["Value"] for item in listed["Items"]}


def gate(code, secrets, path, session):
    """The gate's decision in njs: a response, or the forwarded request."""
    cookies = {SESSION: {"value": session.partition("=")[2]}} if session else {}
    event = {
        "version": "1.0",
        "context": {"eventType": "viewer-request", "distributionId": "E123", "requestId": "1"},
        "viewer": {"ip": "192.0.2.7"},
        "request": {"method": "GET", "uri": path, "querystring": {}, "headers": {}, "cookies": cookies},
    }
    store = f"""
const entries = {json.dumps(secrets)}
export default {{ kvs: () => ({{ get: async (key) => {{
  if (!Object.prototype.hasOwnProperty.call(entries, key)) throw new Error('KeyNotFound')
  return entries[key]
}} }}) }}
"""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "cloudfront").write_text(store)
        (place / "gate.js").write_bytes(code + RUNNER.encode())
        (place / "event").write_text(json.dumps(event))
        run = subprocess.run(
            ["njs", "-t", "module", "-p", place, place / "gate.js", place / "event", place / "answer"],
            check=False,
            capture_output=True,
            text=True,
        )
        answered = (place / "answer").exists()
        if not answered:
            check(False, f"the gate decides in njs {run.stdout}{run.stderr}")
        return json.loads((place / "answer").read_text())


# signed


def signed(stack, photo, link_key):
    answer, session = sign_in(stack, "alice")
    cookies, _ = read(answer["cookies"])
    [folder] = [path for path in cookies if path != NOTE_PATH]
    check(
        json.loads(answer["body"])["folders"] == [folder] and set(cookies[folder]) == SIGNED,
        f"her session has CloudFront's cookies for one folder, {folder}",
    )
    _, rendition = uploaded(stack, photo, session)
    check(rendition["url"] == rendition["path"], "the gallery names the path, which her cookies open")

    policy = decoded(cookies[folder]["CloudFront-Policy"])
    [statement] = json.loads(policy)["Statement"]
    check(
        statement["Resource"] == f"https://{stack.host()}{folder}*" and rendition["path"].startswith(folder),
        "the policy is about her folder at this host, and her picture is in it",
    )
    check(
        verified(policy, decoded(cookies[folder]["CloudFront-Signature"]), link_key),
        "openssl verifies the signature with the public key",
    )
    check(
        not verified(
            policy.replace(b"/media/", b"/other/"), decoded(cookies[folder]["CloudFront-Signature"]), link_key
        ),
        "and not for another folder",
    )
    check(
        key_groups(stack)["/media/*"] == [set(stack.outputs["link_key_ids"])], "/media/* needs a key of its key group"
    )
    check(
        cookies[folder]["CloudFront-Key-Pair-Id"] in stack.outputs["link_key_ids"], "which has the key of the cookies"
    )

    browser = [session, f"{NOTE}={cookies[NOTE_PATH][NOTE]}"]
    bob = stack.call("bob", "POST", "/api/session", cookies=browser)
    others, removed = read(bob["cookies"])
    [his] = json.loads(bob["body"])["folders"]
    check(
        set(others) == {NOTE_PATH, his} and his != folder and removed == {folder: REMOVED},
        "bob at the same browser gets his own folder, and alice's cookies are removed",
    )
    ended = stack.call(None, "DELETE", "/api/session", cookies=browser)
    _, removed = read(ended["cookies"])
    check(
        ended["statusCode"] == 204 and removed == {"/": {SESSION, NOTE}, folder: REMOVED},
        "signing out removes the session and its cookies",
    )


def read(lines):
    """The cookies that lines set, by path, and the names of those that they remove."""
    kept, removed = {}, {}
    for line in lines:
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        attributes = dict(attribute.partition("=")[::2] for attribute in attributes)
        if attributes["Max-Age"] == "0":
            removed.setdefault(attributes["Path"], set()).add(name)
        else:
            kept.setdefault(attributes["Path"], {})[name] = value
    return kept, removed


def decoded(value):
    """CloudFront's base64, which is safe in cookies."""
    return base64.b64decode(value.translate(str.maketrans("-_~", "+=/")))


def verified(policy, signature, link_key):
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "policy").write_bytes(policy)
        (place / "signature").write_bytes(signature)
        command = ["openssl", "dgst", "-sha256", "-verify", KEYS / link_key, "-signature", place / "signature"]
        run = subprocess.run([*command, place / "policy"], check=False, capture_output=True)
        return run.returncode == 0


def key_groups(stack):
    """The keys of each behaviour's key groups, by its path pattern."""
    client = stack.client("cloudfront")
    keys = lambda id: set(client.get_key_group(Id=id)["KeyGroup"]["KeyGroupConfig"]["Items"])
    return {
        behaviour["PathPattern"]: [keys(id) for id in behaviour.get("TrustedKeyGroups", {}).get("Items", [])]
        for behaviour in stack.distribution()["CacheBehaviors"]["Items"]
    }


# presigned


def presigned(stack, photo):
    _, session = sign_in(stack, "alice")
    form, rendition = uploaded(stack, photo, session)
    site = f"https://{stack.host()}"
    check(form["url"] == f"{site}/upload", "the form is posted to the distribution")
    url = urllib.parse.urlsplit(rendition["url"])
    query = urllib.parse.parse_qs(url.query)
    check(
        f"{url.scheme}://{url.netloc}{url.path}" == site + rendition["path"] and len(query["X-Amz-Signature"]) == 1,
        "the gallery names a presigned URL of this host, without the prefix",
    )
    answer = forwarded(stack, url.path, url.query)
    check(
        answer.status == 200 and answer.headers["Content-Type"] == "image/webp",
        "S3 accepts the signature, with the prefix before the path and the bucket's own host",
    )
    changed = url.query.replace("X-Amz-Signature=", "X-Amz-Signature=0")
    check(forwarded(stack, url.path, changed).status == 403, "and no other signature")
    other = url.path.replace(".webp", ".jpg")
    check(forwarded(stack, other, url.query).status == 403, "and not for another picture")

    deployed = stack.distribution()
    origins = {origin["Id"]: origin for origin in deployed["Origins"]["Items"]}
    targets = {one["PathPattern"]: one["TargetOriginId"] for one in deployed["CacheBehaviors"]["Items"]}
    check(
        (targets["/media/*"], targets["/upload"]) == ("media-presigned", "uploads")
        and [origins[id].get("OriginAccessControlId", "") for id in ("media-presigned", "uploads")] == ["", ""]
        and origins["media-presigned"]["OriginPath"] == "/o",
        "CloudFront does not sign requests for pictures and uploads",
    )
    for name in ("presigned", "upload"):
        file = f"{name}-viewer-request"
        code = (stack.folder / "modules/gatepost" / f"{file}.js").read_bytes()
        check(stack.code_of(f"gatepost-{file}") == code, f"the function {file} is deployed")

    policy = json.loads(stack.s3.get_bucket_policy(Bucket=stack.outputs["media_bucket"])["Policy"])
    denials = {one["Sid"]: one for one in policy["Statement"] if one["Sid"].startswith("Signer")}
    signer = stack.client("iam").get_role(RoleName="gatepost-signer")["Role"]["Arn"]
    check(
        {name: (one["Effect"], one["Principal"], one["Action"], one["Condition"]) for name, one in denials.items()}
        == {
            "SignerOnlyInUrls": (
                "Deny",
                {"AWS": signer},
                "s3:GetObject",
                {"StringNotEquals": {"s3:authType": "REST-QUERY-STRING"}},
            ),
            "SignerNoOldSignatures": (
                "Deny",
                {"AWS": signer},
                "s3:GetObject",
                # 45 minutes, the window of 5, and 5 more for the clocks.
                {"NumericGreaterThan": {"s3:signatureAge": "3300000"}},
            ),
        },
        "the bucket's policy denies the signer role everything but young URLs",
    )


def forwarded(stack, path, query):
    """S3's answer to a viewer's request, as CloudFront would forward it: it adds the prefix and sets the origin's host."""
    url = f"{stack.endpoint}/{stack.outputs['media_bucket']}/o{path}?{query}"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers={"Host": stack.s3_host}))
    except urllib.error.HTTPError as error:
        return error
