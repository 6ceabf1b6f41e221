# The page: the files of `gatepost package`, in a separate bucket.

resource "aws_s3_bucket" "web" {
  bucket = "${var.name}-web-${local.account}"
  # All of its objects are in the package, too.
  force_destroy = true
  tags          = local.tags

  # An unknown account would replace the bucket. With depends_on at the call of this module, the account is unknown until
  # the dependency has been applied.
  lifecycle {
    ignore_changes = [bucket]
  }
}

resource "aws_s3_bucket_public_access_block" "web" {
  bucket                  = aws_s3_bucket.web.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "web" {
  bucket = aws_s3_bucket.web.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "web" {
  bucket = aws_s3_bucket.web.id

  rule {
    bucket_key_enabled = local.has_own_key ? true : null

    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_own_key ? "aws:kms" : "AES256"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

data "aws_iam_policy_document" "web" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.web.arn, "${aws_s3_bucket.web.arn}/*"]

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

  statement {
    sid       = "CloudFront"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.web.arn}/*"]

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

resource "aws_s3_bucket_policy" "web" {
  bucket = aws_s3_bucket.web.id
  policy = data.aws_iam_policy_document.web.json

  depends_on = [aws_s3_bucket_public_access_block.web]
}

locals {
  # The package does not know whether CloudFront's keys sign links. If they do, and nothing else is configured, a link may
  # last a day, as in signing-api.
  page_settings = (local.is_packaged && local.signs_links && local.manifest.link_seconds == null
    ? { "settings.json" = jsonencode(merge(jsondecode(file("${var.dist}/web/settings.json")), { link_seconds = 86400 })) }
  : {})
}

resource "aws_s3_object" "web" {
  for_each = { for file in local.manifest.web : file.path => file }

  bucket        = aws_s3_bucket.web.id
  key           = each.key
  source        = contains(keys(local.page_settings), each.key) ? null : "${var.dist}/web/${each.key}"
  content       = lookup(local.page_settings, each.key, null)
  source_hash   = contains(keys(local.page_settings), each.key) ? sha256(local.page_settings[each.key]) : each.value.sha256
  content_type  = each.value.content_type
  cache_control = each.value.cache_control
  tags          = local.tags
}
