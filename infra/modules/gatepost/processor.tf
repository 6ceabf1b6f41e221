# The upload processor, behind the queue.

locals {
  processor_name = "${var.name}-upload-processor"
}

resource "aws_cloudwatch_log_group" "processor" {
  name              = "/aws/lambda/${local.processor_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = local.tags
}

data "aws_iam_policy_document" "lambda" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "processor" {
  name                 = local.processor_name
  assume_role_policy   = data.aws_iam_policy_document.lambda.json
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

data "aws_iam_policy_document" "processor" {
  # It tags rejected uploads, for the bucket's lifecycle. Calls about a version have separate actions: S3's events name a
  # version if the bucket has versions.
  statement {
    sid = "Originals"
    actions = concat(
      ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
      var.malware_protection ? ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"] : [],
    )
    resources = ["${aws_s3_bucket.uploads.arn}/uploads/*"]
  }

  # If-Match needs s3:GetObject, too.
  statement {
    sid       = "ReadMedia"
    actions   = ["s3:GetObject"]
    resources = ["${local.objects}/media/*"]
  }

  statement {
    sid       = "Renditions"
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = local.renditions
  }

  statement {
    sid       = "Manifests"
    actions   = ["s3:PutObject"]
    resources = [local.manifests]
  }

  # The API deletes; the processor completes a deletion that was interrupted.
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

  # Without it S3 answers 403 instead of 404 for a missing object.
  statement {
    sid       = "Listing"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.uploads.arn, aws_s3_bucket.media.arn]
  }

  # A message for an early retry becomes visible before the queue's timeout.
  statement {
    sid       = "Work"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.uploads.arn]
  }

  # A sweep sends uploads back to the queue. It is granted with and without var.sweep: an operator who needs a sweep after
  # a failure should not have to apply first.
  statement {
    sid       = "Sweep"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.uploads.arn]
  }

  statement {
    sid       = "Outcomes"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.outcomes.arn]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.processor.arn}:*"]
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

resource "aws_iam_role_policy" "processor" {
  role   = aws_iam_role.processor.id
  policy = data.aws_iam_policy_document.processor.json
}

resource "aws_lambda_function" "processor" {
  function_name    = local.processor_name
  role             = aws_iam_role.processor.arn
  filename         = "${var.dist}/${local.manifest.upload_processor.file}"
  source_code_hash = local.manifest.upload_processor.source_code_hash
  handler          = local.manifest.upload_processor.handler
  runtime          = local.manifest.upload_processor.runtimes[0]
  architectures    = [local.manifest.upload_processor.architecture]
  memory_size      = var.processor.memory_mb
  timeout          = var.processor.timeout_seconds

  environment {
    variables = {
      GATEPOST_MALWARE_SCAN       = var.malware_protection ? "guardduty" : ""
      GATEPOST_UPLOAD_BUCKET      = aws_s3_bucket.uploads.id
      GATEPOST_MEDIA_BUCKET       = aws_s3_bucket.media.id
      GATEPOST_OUTCOMES_QUEUE_URL = aws_sqs_queue.outcomes.url
      # The queue for retries and sweeps, and the number of the last receive.
      GATEPOST_UPLOAD_QUEUE_URL = aws_sqs_queue.uploads.url
      GATEPOST_MAX_RECEIVES     = tostring(local.max_receives)
      # The name in CloudTrail.
      AWS_SDK_UA_APP_ID = local.processor_name
      # glibc then returns the memory of pictures at once.
      MALLOC_MMAP_THRESHOLD_ = "131072"
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.processor.name
  }

  tags = local.tags

  depends_on = [terraform_data.package, aws_iam_role_policy.processor]
}

resource "aws_lambda_event_source_mapping" "uploads" {
  event_source_arn        = aws_sqs_queue.uploads.arn
  function_name           = aws_lambda_function.processor.arn
  function_response_types = ["ReportBatchItemFailures"]
  # If the function dies, all messages of its batch count as received. So batches are small.
  batch_size = 2

  scaling_config {
    maximum_concurrency = var.processor.concurrency
  }

  tags = local.tags
}
