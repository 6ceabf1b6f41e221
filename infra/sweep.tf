# EventBridge Scheduler invokes the processor to look for uploads that nobody worked on, and for deletions that were
# interrupted. An event may be lost, and a queue may be purged; the buckets still show what is unfinished. Without it a
# deletion that S3 refused half way stays half done.

locals {
  sweeps = var.sweep == null ? 0 : 1
}

# A group for one schedule: the role can be bound to a group and not to a schedule, and the metrics are a group's.
resource "aws_scheduler_schedule_group" "sweep" {
  count = local.sweeps

  name = "${var.name}-sweep"
}

data "aws_iam_policy_document" "sweep_trust" {
  count = local.sweeps

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    # The confused deputy: not in the name of another account's schedule, nor of another group's.
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

  name               = "${var.name}-sweep"
  assume_role_policy = data.aws_iam_policy_document.sweep_trust[0].json
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
  description         = "Sends uploads that nobody worked on to the queue"
  group_name          = aws_scheduler_schedule_group.sweep[0].name
  schedule_expression = var.sweep.schedule

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.processor.arn
    role_arn = aws_iam_role.sweep[0].arn
    input    = jsonencode({ sweep = { since = var.sweep.since } })

    # Dead letters of a sweep would say nothing that the next sweep does not find: an alarm tells of one that was
    # dropped. Lambda repeats one that it could not finish; sweeping twice does no harm.
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
  alarm_description   = "A sweep could not be started. Errors of one that was are among the processor's."
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
}
