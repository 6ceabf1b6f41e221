# Looks for one object in the buckets of photos. guard.tf runs it before anything is destroyed. An error stops
# the destroy, so a bucket that cannot be read counts as full.
#
# BUCKETS: names, separated by spaces. REGION: their region. DELETE_DATA: true skips the look.

refuse() {
  echo "$1 Nothing was destroyed." >&2
  echo "To lose the photos: terraform apply with delete_data_on_destroy = true, then destroy. To keep them: copy them, then do the same." >&2
  exit 1
}

[ "$DELETE_DATA" = true ] && exit 0
command -v aws >/dev/null || refuse "There is no AWS CLI (aws) to look into the buckets $BUCKETS with."
for bucket in $BUCKETS; do
  # Old versions and delete markers count as well: S3 deletes no bucket that has one.
  if found=$(AWS_PAGER='' aws s3api list-object-versions --bucket "$bucket" --region "$REGION" --max-keys 1 --no-paginate \
    --query '[Versions, DeleteMarkers][].Key' --output text 2>&1); then
    [ -z "$found" ] || refuse "The bucket $bucket is not empty: it has $found."
  else
    case $found in
    *'(NoSuchBucket)'*) ;;
    *) refuse "The bucket $bucket cannot be read: $found." ;;
    esac
  fi
done
