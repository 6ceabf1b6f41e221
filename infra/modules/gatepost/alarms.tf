# The alarms that should wake an operator, and a dashboard.

locals {
  functions = {
    api       = aws_lambda_function.api
    processor = aws_lambda_function.processor
  }
  # Of the gate, in mode "function".
  gate_alarms = local.at_function == 0 ? {} : {
    execution-errors = {
      metric      = "FunctionExecutionErrors", statistic = "Sum", threshold = 0, periods = 1
      description = "The gate stops with an error, and the viewer gets a 5xx. Its log is /aws/cloudfront/function/${var.name}-gate in us-east-1."
    }
    validation-errors = {
      metric      = "FunctionValidationErrors", statistic = "Sum", threshold = 0, periods = 1
      description = "CloudFront does not accept what the gate returns."
    }
    throttles = {
      metric      = "FunctionThrottles", statistic = "Sum", threshold = 0, periods = 1
      description = "CloudFront throttles the gate, because it takes too long or is called too often."
    }
    utilization = {
      metric      = "FunctionComputeUtilization", statistic = "Average", threshold = 70, periods = 3
      description = "The gate uses more than 70 % of the time that CloudFront allows. Remove rules, or use mode \"lambda\"."
    }
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

resource "aws_cloudwatch_metric_alarm" "gate" {
  for_each = local.gate_alarms
  provider = aws.us_east_1

  alarm_name          = "${var.name}-gate-${each.key}"
  alarm_description   = each.value.description
  namespace           = "AWS/CloudFront"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = aws_cloudfront_function.gate[0].name, Region = "Global" }
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags
}

# A share, because a viewer's made-up token names a key that the store does not have, which may count as an error.
resource "aws_cloudwatch_metric_alarm" "gate_reads" {
  count    = local.at_function
  provider = aws.us_east_1

  alarm_name          = "${var.name}-gate-reads"
  alarm_description   = "More than one read in ten of the sessions' secrets fails, and these viewers get 401. Compare gatepost session-key list with the API's secret."
  evaluation_periods  = 2
  threshold           = 10
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags

  metric_query {
    id          = "share"
    expression  = "100 * errors / (errors + reads)"
    label       = "Failed reads in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "KvsReadErrors", reads = "KvsReadRequests" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/CloudFront"
        metric_name = metric_query.value
        dimensions  = { FunctionName = aws_cloudfront_function.gate[0].name, Region = "Global" }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat([
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
      ], [for gate in aws_cloudfront_function.gate : {
        type = "metric", x = 12, y = 12, width = 12, height = 6,
        properties = {
          title = "Gate: errors, throttles and use of its time", region = "us-east-1", view = "timeSeries",
          metrics = concat(
            [for metric in ["FunctionExecutionErrors", "FunctionValidationErrors", "FunctionThrottles", "KvsReadErrors"] :
            ["AWS/CloudFront", metric, "FunctionName", gate.name, "Region", "Global", { stat = "Sum" }]],
            [["AWS/CloudFront", "FunctionComputeUtilization", "FunctionName", gate.name, "Region", "Global", { stat = "Average", yAxis = "right" }]],
          )
        }
    }])
  })
}
