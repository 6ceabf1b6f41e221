# The alarms that should wake an operator, and a dashboard.

locals {
  functions = {
    api       = aws_lambda_function.api
    processor = aws_lambda_function.processor
  }
  alarm_actions      = compact([var.alarm_topic_arn.region])
  edge_alarm_actions = compact([var.alarm_topic_arn.us_east_1])
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = "Uploads failed ${local.max_receives} times, over half an hour or more. Inspect the messages (gatepost dlq list), fix the cause, redrive."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "queue_age" {
  alarm_name          = "${var.name}-queue-age"
  alarm_description   = "An upload has waited more than five minutes for its first tries. Raise processor.concurrency, or find out why the processor does not run. SQS does not count uploads that failed three times; dead letters have their own alarm."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.uploads.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  threshold           = 300
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.functions

  alarm_name          = "${each.value.function_name}-errors"
  alarm_description   = "The function returns errors."
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  dimensions          = { FunctionName = each.value.function_name }
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

resource "aws_cloudwatch_metric_alarm" "throttles" {
  for_each = local.functions

  alarm_name          = "${each.value.function_name}-throttles"
  alarm_description   = "The account's Lambda concurrency is exhausted."
  namespace           = "AWS/Lambda"
  metric_name         = "Throttles"
  dimensions          = { FunctionName = each.value.function_name }
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

resource "aws_cloudwatch_metric_alarm" "duration" {
  for_each = local.functions

  alarm_name          = "${each.value.function_name}-duration"
  alarm_description   = "One invocation in a hundred takes more than half of the timeout."
  namespace           = "AWS/Lambda"
  metric_name         = "Duration"
  dimensions          = { FunctionName = each.value.function_name }
  extended_statistic  = "p99"
  period              = 300
  evaluation_periods  = 3
  threshold           = each.value.timeout * 1000 / 2
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = local.tags
}

# An answer of 503 is a success of the function, and no error. Only the metrics of its URL count it.
resource "aws_cloudwatch_metric_alarm" "api_5xx" {
  alarm_name          = "${local.api_name}-5xx"
  alarm_description   = "The API answers 5xx: it cannot reach a bucket or the identity provider, or it lacks a key. Its log names the cause."
  namespace           = "AWS/Lambda"
  metric_name         = "Url5xxCount"
  dimensions          = { FunctionName = aws_lambda_function.api.function_name }
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

# Includes the start of an instance, which the function's own duration does not.
resource "aws_cloudwatch_metric_alarm" "api_latency" {
  alarm_name          = "${local.api_name}-latency"
  alarm_description   = "One call of the API in a hundred takes more than five seconds, as its callers see it."
  namespace           = "AWS/Lambda"
  metric_name         = "UrlRequestLatency"
  dimensions          = { FunctionName = aws_lambda_function.api.function_name }
  extended_statistic  = "p99"
  period              = 300
  evaluation_periods  = 3
  threshold           = 5000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.alarm_actions
  ok_actions          = local.alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_metric_alarm" "edge_errors" {
  provider = aws.us_east_1

  alarm_name          = "${var.name}-edge-5xx"
  alarm_description   = "More than one viewer in a hundred gets a 5xx: the authorizer cannot decide, or an origin does not answer."
  namespace           = "AWS/CloudFront"
  metric_name         = "5xxErrorRate"
  dimensions          = { DistributionId = aws_cloudfront_distribution.this.id, Region = "Global" }
  statistic           = "Average"
  period              = 300
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 12, height = 6,
        properties = {
          title = "Uploads: waiting, oldest, dead", region = local.region, view = "timeSeries",
          metrics = [
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.uploads.name],
            ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", aws_sqs_queue.uploads.name, { yAxis = "right" }],
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", aws_sqs_queue.dead.name],
          ]
        }
      },
      {
        type = "metric", x = 12, y = 0, width = 12, height = 6,
        properties = {
          title   = "Functions: duration p99", region = local.region, view = "timeSeries", stat = "p99",
          metrics = [for function in local.functions : ["AWS/Lambda", "Duration", "FunctionName", function.function_name]]
        }
      },
      {
        type = "metric", x = 0, y = 6, width = 12, height = 6,
        properties = {
          title = "Functions: errors and throttles", region = local.region, view = "timeSeries", stat = "Sum",
          metrics = concat(
            [for function in local.functions : ["AWS/Lambda", "Errors", "FunctionName", function.function_name]],
            [for function in local.functions : ["AWS/Lambda", "Throttles", "FunctionName", function.function_name]],
          )
        }
      },
      {
        type = "metric", x = 12, y = 6, width = 12, height = 6,
        properties = {
          title = "Edge: requests and errors", region = "us-east-1", view = "timeSeries",
          metrics = [
            ["AWS/CloudFront", "Requests", "DistributionId", aws_cloudfront_distribution.this.id, "Region", "Global", { stat = "Sum" }],
            ["AWS/CloudFront", "4xxErrorRate", "DistributionId", aws_cloudfront_distribution.this.id, "Region", "Global", { yAxis = "right" }],
            ["AWS/CloudFront", "5xxErrorRate", "DistributionId", aws_cloudfront_distribution.this.id, "Region", "Global", { yAxis = "right" }],
          ]
        }
      },
      {
        type = "metric", x = 0, y = 12, width = 12, height = 6,
        properties = {
          title = "API: requests, errors and latency p99", region = local.region, view = "timeSeries",
          metrics = [
            ["AWS/Lambda", "UrlRequestCount", "FunctionName", aws_lambda_function.api.function_name, { stat = "Sum" }],
            ["AWS/Lambda", "Url5xxCount", "FunctionName", aws_lambda_function.api.function_name, { stat = "Sum" }],
            ["AWS/Lambda", "UrlRequestLatency", "FunctionName", aws_lambda_function.api.function_name, { stat = "p99", yAxis = "right" }],
          ]
        }
      },
    ]
  })
}
