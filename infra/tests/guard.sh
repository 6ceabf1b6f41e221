#!/bin/sh
# Tests modules/gatepost/guard.sh with a program in place of the AWS CLI. xtask runs it, from the root of the repository.
set -eu

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
mkdir "$folder/with" "$folder/without"
# The guard needs nothing but a shell and the CLI.
shell=$(command -v sh)
guard=$(cat infra/modules/gatepost/guard.sh)

# Answers by bucket, and notes its calls.
cat > "$folder/with/aws" <<'AWS'
#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
*"--bucket full "*) echo "o/media/alice/1/manifest.json" ;;
*"--bucket gone "*)
  echo "An error occurred (NoSuchBucket) when calling the ListObjectVersions operation" >&2
  exit 254
  ;;
*"--bucket foreign "*)
  echo "An error occurred (AccessDenied) when calling the ListObjectVersions operation" >&2
  exit 254
  ;;
esac
AWS
chmod +x "$folder/with/aws"

# expect STATUS TEXT PATH BUCKETS DELETE_DATA: the guard ends with a status, and says a text.
expect() {
  status=0
  : > "$folder/calls"
  said=$(PATH="$3" CALLS="$folder/calls" BUCKETS="$4" DELETE_DATA="$5" REGION=eu-central-1 \
    GUARD="$guard" "$shell" -c 'eval "$GUARD"' 2>&1) || status=$?
  case $said in
  *"$2"*) ;;
  *) echo "the guard for '$4' does not say '$2': $said" && exit 1 ;;
  esac
  [ "$status" -eq "$1" ] || { echo "the guard for '$4' ends with $status in place of $1: $said" && exit 1; }
}

with=$folder/with:/usr/bin:/bin
expect 0 "" "$with" "empty empty-too" false
[ "$(wc -l < "$folder/calls")" -eq 2 ] || { echo "the guard did not look into both buckets" && exit 1; }
expect 1 "full is not empty: it has o/media/alice/1/manifest.json. Nothing was destroyed." "$with" "empty full" false
expect 1 "foreign cannot be read: An error occurred (AccessDenied)" "$with" "foreign empty" false
expect 0 "" "$with" "gone empty" false
expect 1 "full is not empty" "$with" "gone full" false
expect 0 "" "$with" "full" true
[ "$(wc -l < "$folder/calls")" -eq 0 ] || { echo "the guard looks although the data may go" && exit 1; }
expect 1 "There is no AWS CLI (aws)" "$folder/without" "empty" false
expect 0 "" "$folder/without" "full" true
echo "the guard of destroy: 8 cases"
