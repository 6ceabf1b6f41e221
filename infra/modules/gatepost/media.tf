# The bucket that viewers read, only through CloudFront.

locals {
  # CloudFront prepends this to the paths that it requests from the bucket, so viewers reach no object outside of this
  # folder. In mode "function" the functions do so. The media-contract crate has the same constant; a test compares them.
  origin_path = "/o"
  objects     = "${aws_s3_bucket.media.arn}${local.origin_path}"

  # In seconds. A URL of the bucket lasts for links.max_expires_in, 45 minutes by default as in signing-api, and never longer
  # than a session of the signer role. It is signed as of the beginning of its window (links.shared_within). Clocks may
  # differ by five minutes.
  oldest_signature = (
    min(coalesce(local.manifest.link_seconds, 2700), local.longest_session)
    + try(coalesce(local.manifest.link_window_seconds), 0)
    + 300
  )

  # Only the objects of the rules' paths.
  served_objects = [for path in local.delivery.paths : "${local.objects}${path}"]

  # A deletion writes a tombstone at the manifest's key, so the roles may delete renditions, by the extensions that the
  # thumbnailer gives them, and never a manifest. A policy's * matches slashes, too.
  manifests  = "${local.objects}/media/*/manifest.json"
  renditions = [for extension in ["jpg", "webp"] : "${local.objects}/media/*/*.${extension}"]
}

resource "aws_s3_bucket" "media" {
  bucket        = "${var.name}-media-${local.account}"
  force_destroy = var.delete_data_on_destroy
  tags          = local.tags

  # An unknown account would replace the bucket. With depends_on at the call of this module, the account is unknown until
  # the dependency has been applied.
  lifecycle {
    ignore_changes = [bucket]
  }
}

resource "aws_s3_bucket_public_access_block" "media" {
  bucket                  = aws_s3_bucket.media.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "media" {
  bucket = aws_s3_bucket.media.id

  rule {
    bucket_key_enabled = local.has_own_key ? true : null

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_own_key ? "aws:kms" : "AES256"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_versioning" "media" {
  bucket = aws_s3_bucket.media.id

  versioning_configuration {
    status = "Enabled"
  }
}

# Deleted and replaced objects can be restored for a week.
resource "aws_s3_bucket_lifecycle_configuration" "media" {
  bucket = aws_s3_bucket.media.id

  # Only tombstones expire. The tag comes with the PUT that writes one. A tombstone must outlive every event of its upload,
  # which waits for up to four days in the queue and fourteen among the dead letters.
  rule {
    id     = "forget-tombstones"
    status = "Enabled"

    filter {
      and {
        prefix = "${trimprefix(local.origin_path, "/")}/media/"
        tags   = { gatepost = "deleted" }
      }
    }

    expiration {
      days = 30
    }
  }

  rule {
    id     = "forget-old-versions"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    expiration {
      expired_object_delete_marker = true
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.media]
}

data "aws_iam_policy_document" "media" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.media.arn, "${aws_s3_bucket.media.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # A manifest is the commit point: an unconditional write could publish a deleted photo. AWS's
  # example exempts the parts of multipart uploads (s3:ObjectCreationOperation), which cannot carry the headers; no
  # manifest is that large, so those are denied as well. Copies onto a manifest are denied, too. Deletes are not, or
  # terraform destroy could not empty the bucket.
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
  statement {
    sid       = "ManifestsConditionally"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [local.manifests]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-match"
      values   = ["true"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["true"]
    }
  }

  # The role that signs URLs. Its credentials are of use in a URL alone, and no signature is older than the longest link.
  statement {
    sid       = "SignerOnlyInUrls"
    effect    = "Deny"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.media.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.signer.arn]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:authType"
      values   = ["REST-QUERY-STRING"]
    }
  }

  statement {
    sid       = "SignerNoOldSignatures"
    effect    = "Deny"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.media.arn}/*"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.signer.arn]
    }

    condition {
      test     = "NumericGreaterThan"
      variable = "s3:signatureAge"
      values   = [local.oldest_signature * 1000]
    }
  }

  statement {
    sid       = "CloudFront"
    actions   = ["s3:GetObject"]
    resources = local.served_objects

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudfront_distribution.this.arn]
    }
  }

  # A missing object is then a 404 instead of a 403. No behaviour leads to the bucket's root, which would return a
  # listing.
  statement {
    sid       = "CloudFrontNotFound"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.media.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudfront.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudfront_distribution.this.arn]
    }
  }
}

resource "aws_s3_bucket_policy" "media" {
  bucket = aws_s3_bucket.media.id
  policy = data.aws_iam_policy_document.media.json

  depends_on = [aws_s3_bucket_public_access_block.media]
}
