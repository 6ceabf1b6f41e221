# The signing API: a function URL that answers only to the distribution, and the role that signs.

locals {
  api_name = "${var.name}-signing-api"

  # The private keys that the API reads when it starts, the secrets of sessions that it reads while it runs, and their
  # encryption keys. The names are not secret.
  secret_arns = compact([
    nonsensitive(sensitive(try(var.link_keys.private_secret_arn, null))),
    nonsensitive(sensitive(try(var.session_key.private_secret_arn, null))),
  ])
  # IAM's grants for reading them: each action with its resources.
  secret_grants = { for action, arns in {
    "secretsmanager:GetSecretValue" = concat(
      [for arn in local.secret_arns : arn if strcontains(arn, ":secretsmanager:")],
      aws_secretsmanager_secret.sessions[*].arn,
    )
    "ssm:GetParameter" = [for arn in local.secret_arns : arn if strcontains(arn, ":ssm:")]
    "kms:Decrypt" = compact([
      nonsensitive(sensitive(try(var.link_keys.kms_key_arn, null))),
      nonsensitive(sensitive(try(var.session_key.kms_key_arn, null))),
    ])
  } : action => distinct(arns) if length(arns) > 0 }
}

resource "aws_cloudwatch_log_group" "api" {
  name              = "/aws/lambda/${local.api_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}

resource "aws_iam_role" "api" {
  name                 = local.api_name
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

data "aws_iam_policy_document" "api" {
  # The API checks whether an upload has arrived.
  statement {
    sid       = "Originals"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.uploads.arn}/uploads/*"]
  }

  # If-Match needs s3:GetObject, too.
  statement {
    sid       = "ReadMedia"
    actions   = ["s3:GetObject"]
    resources = ["${local.objects}/media/*"]
  }

  # A deletion writes a tombstone at the manifest's key, and deletes all other objects.
  statement {
    sid       = "Tombstones"
    actions   = ["s3:PutObject"]
    resources = [local.manifests]
  }

  # The tag comes with the PUT. S3 cannot distinguish a tombstone from another manifest. So the API could tag a
  # published one, and the lifecycle would delete it 30 days later. No other role may do that.
  statement {
    sid       = "TagTombstones"
    actions   = ["s3:PutObjectTagging"]
    resources = [local.manifests]

    condition {
      test     = "StringEquals"
      variable = "s3:RequestObjectTag/gatepost"
      values   = ["deleted"]
    }
  }

  statement {
    sid       = "DeleteRenditions"
    actions   = ["s3:DeleteObject"]
    resources = local.renditions
  }

  statement {
    sid       = "DeleteOriginals"
    actions   = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = ["${aws_s3_bucket.uploads.arn}/uploads/*"]
  }

  statement {
    sid       = "OriginalVersions"
    actions   = ["s3:ListBucketVersions"]
    resources = [aws_s3_bucket.uploads.arn]
  }

  # The gallery lists objects. Without this permission S3 also answers 403 instead of 404 for a missing object.
  statement {
    sid       = "Listing"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.uploads.arn, aws_s3_bucket.media.arn]
  }

  statement {
    sid       = "Signer"
    actions   = ["sts:AssumeRole"]
    resources = [aws_iam_role.signer.arn]
  }

  dynamic "statement" {
    for_each = local.secret_grants

    content {
      actions   = [statement.key]
      resources = statement.value
    }
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.api.arn}:*"]
  }

  dynamic "statement" {
    for_each = local.key_grants

    content {
      sid       = "Key"
      actions   = statement.value
      resources = [var.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "api" {
  role   = aws_iam_role.api.id
  policy = data.aws_iam_policy_document.api.json
}

# A policy of its own: the distribution needs the function's URL, and the function the policy above.
data "aws_iam_policy_document" "invalidation" {
  # A deleted photo must not stay in CloudFront's cache.
  statement {
    sid       = "ForgetDeleted"
    actions   = ["cloudfront:CreateInvalidation"]
    resources = [aws_cloudfront_distribution.this.arn]
  }
}

resource "aws_iam_role_policy" "invalidation" {
  role   = aws_iam_role.api.id
  policy = data.aws_iam_policy_document.invalidation.json
}

# A signature cannot permit more than this role.
data "aws_iam_policy_document" "signer_trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.api.arn]
    }
  }
}

resource "aws_iam_role" "signer" {
  name                 = "${var.name}-signer"
  assume_role_policy   = data.aws_iam_policy_document.signer_trust.json
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

data "aws_iam_policy_document" "signer" {
  statement {
    sid       = "Forms"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.uploads.arn}/uploads/*"]
  }

  statement {
    sid       = "Links"
    actions   = ["s3:GetObject"]
    resources = local.served_objects
  }

  dynamic "statement" {
    for_each = local.key_grants

    content {
      sid       = "Key"
      actions   = statement.value
      resources = [var.kms_key_arn]
    }
  }
}

resource "aws_iam_role_policy" "signer" {
  role   = aws_iam_role.signer.id
  policy = data.aws_iam_policy_document.signer.json
}

resource "aws_lambda_function" "api" {
  function_name    = local.api_name
  role             = aws_iam_role.api.arn
  filename         = "${var.dist}/${local.manifest.signing_api.file}"
  source_code_hash = local.manifest.signing_api.source_code_hash
  handler          = local.manifest.signing_api.handler
  runtime          = local.manifest.signing_api.runtimes[0]
  architectures    = [local.manifest.signing_api.architecture]
  memory_size      = 256
  timeout          = 15

  environment {
    variables = merge(
      {
        GATEPOST_UPLOAD_BUCKET   = aws_s3_bucket.uploads.id
        GATEPOST_MEDIA_BUCKET    = aws_s3_bucket.media.id
        GATEPOST_SIGNER_ROLE_ARN = aws_iam_role.signer.arn
        AWS_SDK_UA_APP_ID        = local.api_name
      },
      local.signs_links ? {
        # Without a domain of its own the distribution gets its name only after this function exists. The function at
        # viewer-request sends that name.
        GATEPOST_CLOUDFRONT_URL         = var.domain == null ? "/shared" : "https://${var.domain.name}/shared"
        GATEPOST_CLOUDFRONT_KEY_PAIR_ID = local.link_key_id
      } : {},
      local.at_function == 1 ? { GATEPOST_SESSION_SECRETS_ARN = aws_secretsmanager_secret.sessions[0].arn } : {},
      # Each is either the key itself or the ARN of its secret.
      { for name, value in {
        GATEPOST_CLOUDFRONT_PRIVATE_KEY            = try(var.link_keys.private, null)
        GATEPOST_CLOUDFRONT_PRIVATE_KEY_SECRET_ARN = try(var.link_keys.private_secret_arn, null)
        GATEPOST_SESSION_PRIVATE_KEY               = try(var.session_key.private, null)
        GATEPOST_SESSION_PRIVATE_KEY_SECRET_ARN    = try(var.session_key.private_secret_arn, null)
      } : name => value if nonsensitive(sensitive(value != null)) },
      # Added to those of [cors], which are in the package.
      length(var.origins) > 0 ? { GATEPOST_ORIGINS = join(",", var.origins) } : {},
    )
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.api.name
  }

  tags = local.tags

  # The verifier must know a key before the signer uses it.
  depends_on = [terraform_data.package, aws_iam_role_policy.api, aws_cloudfront_key_group.links]
}

resource "aws_lambda_function_url" "api" {
  function_name      = aws_lambda_function.api.function_name
  authorization_type = "AWS_IAM"
}

# CloudFront needs both since October 2025: one to call the URL, the other to invoke the function behind it.
resource "aws_lambda_permission" "api_url" {
  statement_id           = "CloudFrontUrl"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.api.function_name
  principal              = "cloudfront.amazonaws.com"
  source_arn             = aws_cloudfront_distribution.this.arn
  function_url_auth_type = "AWS_IAM"
}

resource "aws_lambda_permission" "api" {
  statement_id  = "CloudFront"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.api.function_name
  principal     = "cloudfront.amazonaws.com"
  source_arn    = aws_cloudfront_distribution.this.arn
}
