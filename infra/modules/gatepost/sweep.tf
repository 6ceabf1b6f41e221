# EventBridge Scheduler invokes the processor to find uploads that were not processed and interrupted deletions. An event
# may be lost, and a queue may be purged, but the buckets still show unfinished work. Without sweeps a deletion that S3
# refused half way stays incomplete.

locals {
  sweeps = var.sweep == null ? 0 : 1
}

# A group for one schedule: the role's trust can name a group but not a schedule, and metrics are per group.
resource "aws_scheduler_schedule_group" "sweep" {
  count = local.sweeps

  name = "${var.name}-sweep"
  tags = local.tags
}

data "aws_iam_policy_document" "sweep_trust" {
  count = local.sweeps

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    # The confused deputy: schedules of other accounts or groups must not assume this role.
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_scheduler_schedule_group.sweep[0].arn]
    }
  }
}

resource "aws_iam_role" "sweep" {
  count = local.sweeps

  name                 = "${var.name}-sweep"
  assume_role_policy   = data.aws_iam_policy_document.sweep_trust[0].json
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags
}

data "aws_iam_policy_document" "sweep" {
  count = local.sweeps

  statement {
    sid       = "Invoke"
    actions   = ["lambda:InvokeFunction"]
    resources = [aws_lambda_function.processor.arn]
  }
}

resource "aws_iam_role_policy" "sweep" {
  count = local.sweeps

  role   = aws_iam_role.sweep[0].id
  policy = data.aws_iam_policy_document.sweep[0].json
}

resource "aws_scheduler_schedule" "sweep" {
  count = local.sweeps

  name                = "${var.name}-sweep"
  description         = "Sends unprocessed uploads to the queue"
  group_name          = aws_scheduler_schedule_group.sweep[0].name
  schedule_expression = var.sweep.schedule

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.processor.arn
    role_arn = aws_iam_role.sweep[0].arn
    input    = jsonencode({ sweep = { since = var.sweep.since } })

    # A dead letter of a sweep is unnecessary, because the next sweep finds the same uploads; an alarm reports a dropped
    # one. Lambda repeats a sweep that it could not finish; sweeps are idempotent.
    retry_policy {
      maximum_retry_attempts       = 5
      maximum_event_age_in_seconds = 900
    }
  }

  depends_on = [aws_iam_role_policy.sweep]
}

resource "aws_cloudwatch_metric_alarm" "sweep_dropped" {
  count = local.sweeps

  alarm_name          = "${var.name}-sweep-dropped"
  alarm_description   = "A sweep could not be started. Errors of started sweeps count among the processor's errors."
  namespace           = "AWS/Scheduler"
  metric_name         = "InvocationDroppedCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.sweep[0].name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = local.tags
}
