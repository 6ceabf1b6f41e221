# S3 notifies the queue, which invokes the processor. Messages that fail nine times go to the dead-letter queue.

locals {
  # AWS recommends at least six times the function's timeout, so that no second worker receives a message in progress. At
  # least six minutes, the processor's longest retry delay. It counts only if a worker was killed before it could hide
  # its message. A message whose workers are all killed is then tried for eight times as long: 48 minutes, or four hours
  # with a timeout of 300 s.
  visibility_seconds = 6 * max(var.processor.timeout_seconds, 60)
  # S3 may be unavailable for minutes, so a message is tried for half an hour. The processor makes a failed message visible
  # again after 2 s, 10 s, 1 min, and then 6 min each time, so the ninth receive is after 31 minutes, with any timeout.
  max_receives = 9
}

resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-uploads-dead"
  message_retention_seconds = 14 * 24 * 60 * 60
  sqs_managed_sse_enabled   = local.has_own_key ? null : true
  kms_master_key_id         = var.kms_key_arn
  tags                      = local.tags
}

resource "aws_sqs_queue" "uploads" {
  name                       = "${var.name}-uploads"
  visibility_timeout_seconds = local.visibility_seconds
  message_retention_seconds  = 4 * 24 * 60 * 60
  sqs_managed_sse_enabled    = local.has_own_key ? null : true
  kms_master_key_id          = var.kms_key_arn

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = local.max_receives
  })

  tags = local.tags
}

# A separate resource: within the queue it would be a dependency cycle.
resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.uploads.arn]
  })
}

# Applications read the outcomes of uploads here.
resource "aws_sqs_queue" "outcomes" {
  name                      = "${var.name}-outcomes"
  message_retention_seconds = 4 * 24 * 60 * 60
  sqs_managed_sse_enabled   = local.has_own_key ? null : true
  kms_master_key_id         = var.kms_key_arn
  tags                      = local.tags
}

data "aws_iam_policy_document" "queue" {
  for_each = {
    dead     = aws_sqs_queue.dead.arn
    outcomes = aws_sqs_queue.outcomes.arn
    uploads  = aws_sqs_queue.uploads.arn
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

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

  dynamic "statement" {
    for_each = each.key == "uploads" ? aws_cloudwatch_event_rule.scanned : []

    content {
      sid       = "Scans"
      actions   = ["sqs:SendMessage"]
      resources = [each.value]

      principals {
        type        = "Service"
        identifiers = ["events.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value.arn]
      }
    }
  }

  dynamic "statement" {
    for_each = each.key == "uploads" ? [1] : []

    content {
      sid       = "UploadBucket"
      actions   = ["sqs:SendMessage"]
      resources = [each.value]

      principals {
        type        = "Service"
        identifiers = ["s3.amazonaws.com"]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [aws_s3_bucket.uploads.arn]
      }

      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_sqs_queue_policy" "uploads" {
  queue_url = aws_sqs_queue.uploads.id
  policy    = data.aws_iam_policy_document.queue["uploads"].json
}

resource "aws_sqs_queue_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  policy    = data.aws_iam_policy_document.queue["dead"].json
}

resource "aws_sqs_queue_policy" "outcomes" {
  queue_url = aws_sqs_queue.outcomes.id
  policy    = data.aws_iam_policy_document.queue["outcomes"].json
}
