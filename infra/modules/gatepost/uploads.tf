# The bucket that forms post to. Only the processor reads its objects, and none of them is served.

resource "aws_s3_bucket" "uploads" {
  bucket        = "${var.name}-uploads-${local.account}"
  force_destroy = var.delete_data_on_destroy
  tags          = local.tags

  # An unknown account would replace the bucket. With depends_on at the call of this module, the account is unknown until
  # the dependency has been applied.
  lifecycle {
    ignore_changes = [bucket]
  }
}

resource "aws_s3_bucket_public_access_block" "uploads" {
  bucket                  = aws_s3_bucket.uploads.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  rule {
    bucket_key_enabled = local.has_own_key ? true : null

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_own_key ? "aws:kms" : "AES256"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# Pages of the distribution, and of the sites named here or in [cors]. `*` is left out: all sites may then read media, but
# not send forms. The distribution's page needs no CORS for forms to its own site.
resource "aws_s3_bucket_cors_configuration" "uploads" {
  count = 1 - local.posts_to_distribution

  bucket = aws_s3_bucket.uploads.id

  cors_rule {
    allowed_methods = ["POST"]
    allowed_origins = distinct(concat(
      ["https://${aws_cloudfront_distribution.this.domain_name}"],
      var.domain == null ? [] : ["https://${var.domain.name}"],
      var.origins,
      [for origin in try(local.manifest.cors.origins, []) : origin if origin != "*"],
    ))
    allowed_headers = ["*"]
    expose_headers  = ["ETag", "Location"]
    max_age_seconds = 3000
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  rule {
    id     = "abort-unfinished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  # Only for operators who switch versions on: the rules below would then leave an old version and a delete marker, which
  # nothing else removes.
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
  }

  # Uploads that the processor rejected, and those that GuardDuty tagged as a threat.
  dynamic "rule" {
    for_each = var.rejected_retention_days == null ? {} : merge(
      { rejected = { gatepost = "rejected" } },
      var.malware_protection ? { threats = { GuardDutyMalwareScanStatus = "THREATS_FOUND" } } : {},
    )

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        and {
          prefix = "uploads/"
          tags   = rule.value
        }
      }

      expiration {
        days = var.rejected_retention_days
      }
    }
  }

  dynamic "rule" {
    for_each = var.upload_retention_days == null ? [] : [var.upload_retention_days]

    content {
      id     = "originals"
      status = "Enabled"

      filter {
        prefix = "uploads/"
      }

      expiration {
        days = rule.value
      }
    }
  }
}

data "aws_iam_policy_document" "uploads" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.uploads.arn, "${aws_s3_bucket.uploads.arn}/*"]

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

  # A form lasts minutes, and never longer than the session that signs it.
  statement {
    sid       = "NoOldSignatures"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.uploads.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "NumericGreaterThan"
      variable = "s3:signatureAge"
      values   = [local.longest_session * 1000]
    }
  }

  # Only GuardDuty may tag an upload as clean. Removing its tag makes an upload unscanned again, which is harmless.
  dynamic "statement" {
    for_each = aws_iam_role.guardduty

    content {
      sid       = "OnlyGuardDutyTagsScans"
      effect    = "Deny"
      actions   = ["s3:PutObjectTagging", "s3:PutObjectVersionTagging"]
      resources = ["${aws_s3_bucket.uploads.arn}/*"]

      principals {
        type        = "*"
        identifiers = ["*"]
      }

      condition {
        test     = "ArnNotEquals"
        variable = "aws:PrincipalArn"
        values   = [statement.value.arn]
      }

      condition {
        test     = "ForAnyValue:StringEquals"
        variable = "s3:RequestObjectTagKeys"
        values   = ["GuardDutyMalwareScanStatus"]
      }
    }
  }
}

resource "aws_s3_bucket_policy" "uploads" {
  bucket = aws_s3_bucket.uploads.id
  policy = data.aws_iam_policy_document.uploads.json

  depends_on = [aws_s3_bucket_public_access_block.uploads]
}

# A bucket has one notification configuration: this one replaces all others.
resource "aws_s3_bucket_notification" "uploads" {
  bucket = aws_s3_bucket.uploads.id

  # GuardDuty is notified this way, and would switch it on without Terraform.
  eventbridge = var.malware_protection

  dynamic "queue" {
    for_each = var.malware_protection ? [] : [aws_sqs_queue.uploads.arn]

    content {
      queue_arn     = queue.value
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = "uploads/"
    }
  }

  # S3 asks the queue whether it may send.
  depends_on = [aws_sqs_queue_policy.uploads]
}
