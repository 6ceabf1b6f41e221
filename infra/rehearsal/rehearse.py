"""The whole life of a stack, on MiniStack instead of AWS: `cargo xtask rehearse` runs it.

Applies infra/ with the packages as they are, uploads through a form, waits for the packaged processor's result, reads the
outcome, finds a broken upload among the dead letters, rolls out another configuration and another key for
links, plans again and finds nothing to do, switches to each other mode of delivery (modes.py), switches links off,
destroys, and finds nothing left. The functions' calls are checked against their roles (roles.py). Needs MiniStack's
address, the port to which it sends its functions, the `gatepost` binary and an initialized copy of infra/ (--stack) that
may be written to.
"""

import argparse
import json
import pathlib

import modes
from stack import ISSUER, Stack, begin, check, say, token

arguments = argparse.ArgumentParser()
arguments.add_argument("--endpoint", required=True)
arguments.add_argument("--functions-port", required=True, type=int)
arguments.add_argument("--gatepost", required=True)
arguments.add_argument("--stack", required=True, type=pathlib.Path)
arguments.add_argument("--photo", type=pathlib.Path, required=True)
options = arguments.parse_args()

stack = Stack(options)
photo = options.photo.read_bytes()
s3, sqs = stack.s3, stack.sqs

begin("mode lambda")
manifest = stack.package([320, 640], "lambda")
say(f"packaged: {', '.join(manifest[part]['file'] for part in ('edge_auth', 'signing_api', 'upload_processor'))}")
stack.sign_links_with("rsa-public.pem", "rsa-pkcs8.pem", next="p256-public.pem")
stack.apply()
outputs = stack.outputs
known_keys = set(outputs["link_key_ids"])
check(outputs["config_sha256"] == manifest["config_sha256"], "applied, with the configuration that was packaged")

settings = s3.get_object(Bucket=outputs["web_bucket"], Key="settings.json")
told = json.loads(settings["Body"].read())
check(
    told["sign_in"]["token"] == f"{ISSUER}oauth/token" and settings["CacheControl"] == "no-cache",
    "the page is told how people sign in",
)
_, session = modes.sign_in(stack, "alice")
form = stack.upload("alice", photo)
ready = stack.settled("alice", form["id"])
check(ready["status"] == "ready", "the packaged processor finished it, on S3 -> SQS -> Lambda")
renditions = ready["manifest"]["renditions"]
check([one["width"] for one in renditions] == [640, 320], "with the renditions of the configuration")
stored = s3.get_object(Bucket=outputs["media_bucket"], Key="o" + renditions[0]["path"])
check(stored["ContentType"] == "image/webp", "the media bucket has them")
told = stack.wait_for("an outcome", lambda: stack.receive(outputs["outcomes_queue_url"]))
check(any(one["id"] == form["id"] and one["status"] == "ready" for one in told), "the outcomes queue was told")

path = renditions[0]["path"]
answer = stack.edge(path, {"authorization": f"Bearer {token('alice')}"})
check(
    answer.get("uri") == path and "authorization" not in answer["headers"],
    "the edge lets alice through, without her token",
)
check(stack.edge(path, {"cookie": session}).get("uri") == path, "the edge takes her session as well")
check(stack.edge(path, {"authorization": f"Bearer {token('bob')}"})["status"] == "403", "the edge refuses bob")
check(stack.edge(path, {})["status"] == "401", "the edge refuses somebody unknown")
status, link = stack.api("alice", "POST", "/api/links", {"path": path, "expires_in": 60})
shared = f"https://{outputs['distribution_domain']}/shared{path}?"
check(status == 201 and link["url"].startswith(shared), "alice shares a link to the distribution")
first_key = link["url"].partition("Key-Pair-Id=")[2].partition("&")[0]
check(
    first_key in known_keys and len(known_keys) == 2,
    "signed with a key of its key group, which has the next one already",
)
check(stack.api("bob", "POST", "/api/links", {"path": path, "expires_in": 60})[0] == 403, "bob does not")

form = stack.upload("alice", photo[: len(photo) // 2])
check(stack.settled("alice", form["id"])["reason"]["code"] == "truncated", "half a photo is rejected")
tags = s3.get_object_tagging(Bucket=outputs["upload_bucket"], Key=form["fields"]["key"])["TagSet"]
check(tags == [{"Key": "gatepost", "Value": "rejected"}], "and its original tagged for the bucket's lifecycle")

status, form = stack.api("alice", "POST", "/api/uploads", {"content_type": "image/jpeg", "size": len(photo)})
# An unreadable manifest: the processor retries until the last receive.
s3.put_object(Bucket=outputs["media_bucket"], Key="o" + form["manifest"], Body=b"no JSON")
stack.post(form, photo)
dead = stack.wait_for("a dead letter", lambda: stack.receive(outputs["dead_letter_queue_url"]))
check(form["id"] in json.dumps(dead), "an upload that cannot be finished lies among the dead letters")

changed = stack.package([200], "lambda")
check(changed["config_sha256"] != manifest["config_sha256"], "another configuration is packaged")
stack.sign_links_with("p256-public.pem", "p256-pkcs8.pem", former=["rsa-public.pem"])
stack.apply()
outputs = stack.outputs
form = stack.upload("alice", photo)
ready = stack.settled("alice", form["id"])
renditions = ready["manifest"]["renditions"]
check([one["width"] for one in renditions] == [200], "and rolled out: uploads have its renditions")
check(set(outputs["link_key_ids"]) == known_keys, "the key group has the same two keys")
[second_key] = known_keys - {first_key}
status, link = stack.api("alice", "POST", "/api/links", {"path": path, "expires_in": 60})
check(
    status == 201 and f"Key-Pair-Id={second_key}&" in link["url"], "links are signed with the one that was known before"
)

status, gallery = stack.api("alice", "GET", "/api/media")
check(
    status == 200 and [item["id"] for item in gallery["items"]] == sorted(item["id"] for item in gallery["items"]),
    "alice sees her gallery",
)
check(stack.api("alice", "DELETE", f"/api/media/{form['id']}")[0] == 204, "and deletes a photo")
status, gallery = stack.api("alice", "GET", "/api/media")
check(form["id"] not in [item["id"] for item in gallery["items"]], "which is gone")
check(
    stack.invalidated() == sorted([form["manifest"], *(one["path"] for one in renditions)]),
    "CloudFront is told to forget exactly its paths",
)
check(stack.roles.refused == [], f"all of that with what the roles grant: {stack.roles.refused}")
for function, action in sorted(stack.roles.made):
    say(f"  {function} {action}")
stack.plan_again()

modes.rehearse(stack, photo, session, "p256-public.pem")

stack.sign_no_links()
stack.apply()
status, link = stack.api("alice", "POST", "/api/links", {"path": path, "expires_in": 60})
check(status == 201 and "X-Amz-Signature" in link["url"], "keys taken away, links are the bucket's again")

begin("")
stack.terraform("destroy", "-auto-approve", "-input=false")
left = stack.terraform("state", "list").stdout.split()
check(left == [], "everything is destroyed")
check(s3.list_buckets()["Buckets"] == [], "no bucket is left")
check(sqs.list_queues().get("QueueUrls", []) == [], "no queue is left")
functions = [
    one
    for region in ("eu-central-1", "us-east-1")
    for one in stack.client("lambda", region).list_functions()["Functions"]
]
check(functions == [], "no function is left")
cloudfront = stack.client("cloudfront")
kept = [
    cloudfront.list_functions()["FunctionList"].get("Items", []),
    cloudfront.list_key_value_stores()["KeyValueStoreList"].get("Items", []),
    cloudfront.list_key_groups()["KeyGroupList"].get("Items", []),
]
check(kept == [[], [], []], "no function, store or key of CloudFront is left")
names = [role["RoleName"] for role in stack.client("iam").list_roles()["Roles"]]
check([name for name in names if name.startswith("gatepost-")] == [], "no role is left")
say("rehearsed")
