# The alarms that should wake an operator, and a dashboard.

locals {
  functions = {
    api       = aws_lambda_function.api
    processor = aws_lambda_function.processor
  }
  # The CloudFront Functions of the mode and of uploads, by the name in their alarms. An error of the API's function, or of
  # the one of links, is among the 5xx of all requests.
  viewer_functions = merge(
    { for function in aws_cloudfront_function.gate : "gate" => function.name },
    { for function in aws_cloudfront_function.presigned : "presigned" => function.name },
    { for function in aws_cloudfront_function.upload : "upload" => function.name },
  )
  viewer_function_failures = {
    execution-errors = {
      metric = "FunctionExecutionErrors"
      text   = "stops with an error, and the viewer gets a 5xx. Its log is in us-east-1, /aws/cloudfront/function/ and its name."
    }
    validation-errors = { metric = "FunctionValidationErrors", text = "returns what CloudFront does not accept." }
    throttles         = { metric = "FunctionThrottles", text = "is throttled by CloudFront: it takes too long or is called too often." }
  }
  viewer_function_alarms = merge([for function, name in local.viewer_functions : {
    for what, failure in local.viewer_function_failures : "${function}-${what}" => merge(failure, { function = name })
  }]...)
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

# In these modes a key that does not fit, or a role that may not read, is a 403 for everybody, and no error of a function.
# More than half of at least a hundred requests in five minutes, three times in a row: a scanner sends fewer, or is shorter.
resource "aws_cloudwatch_metric_alarm" "edge_refusals" {
  count    = local.at_signed + local.at_presigned
  provider = aws.us_east_1

  alarm_name          = "${var.name}-edge-4xx"
  alarm_description   = "More than half of the requests are refused. Perhaps no signature of the API is accepted: see docs/deploying.md, \"Everybody gets 403\"."
  evaluation_periods  = 3
  threshold           = 50
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags

  metric_query {
    id          = "share"
    expression  = "IF(requests >= 100, refused, 0)"
    label       = "Refused requests in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { refused = ["4xxErrorRate", "Average"], requests = ["Requests", "Sum"] }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/CloudFront"
        metric_name = metric_query.value[0]
        dimensions  = { DistributionId = aws_cloudfront_distribution.this.id, Region = "Global" }
        stat        = metric_query.value[1]
        period      = 300
      }
    }
  }
}

# A share of the runs, at least ten, and for ten minutes: otherwise one stranger with a request that a function cannot
# handle could wake an operator. The 5xx of all requests report a quiet site. Throttled runs may not count as runs, so they
# are added; other failures count twice, which halves their share.
resource "aws_cloudwatch_metric_alarm" "viewer_functions" {
  for_each = local.viewer_function_alarms
  provider = aws.us_east_1

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "In more than one run in a hundred, and at least ten in five minutes, ${each.value.function} ${each.value.text}"
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags

  metric_query {
    id          = "share"
    expression  = "IF(failures >= 10, 100 * failures / (FILL(runs, 0) + failures), 0)"
    label       = "Failed runs in percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failures = each.value.metric, runs = "FunctionInvocations" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/CloudFront"
        metric_name = metric_query.value
        dimensions  = { FunctionName = each.value.function, Region = "Global" }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "gate_utilization" {
  count    = local.at_function
  provider = aws.us_east_1

  alarm_name          = "${var.name}-gate-utilization"
  alarm_description   = "The gate uses more than 70 % of the time that CloudFront allows. Remove rules, or use mode \"lambda\"."
  namespace           = "AWS/CloudFront"
  metric_name         = "FunctionComputeUtilization"
  dimensions          = { FunctionName = aws_cloudfront_function.gate[0].name, Region = "Global" }
  statistic           = "Average"
  period              = 300
  evaluation_periods  = 3
  threshold           = 70
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
  alarm_description   = "More than one read in ten of the sessions' secrets fails, at least ten in five minutes, and these viewers get 401. Compare gatepost session-key list with the API's secret."
  evaluation_periods  = 2
  threshold           = 10
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.edge_alarm_actions
  ok_actions          = local.edge_alarm_actions
  tags                = local.tags

  metric_query {
    id          = "share"
    expression  = "IF(errors >= 10, 100 * errors / (errors + FILL(reads, 0)), 0)"
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
      ], [for names in [values(local.viewer_functions)] : {
        type = "metric", x = 12, y = 12, width = 12, height = 6,
        properties = {
          title = "CloudFront Functions: errors, throttles and use of their time", region = "us-east-1", view = "timeSeries",
          metrics = concat(
            [for pair in setproduct(names, ["FunctionExecutionErrors", "FunctionValidationErrors", "FunctionThrottles"]) :
            ["AWS/CloudFront", pair[1], "FunctionName", pair[0], "Region", "Global", { stat = "Sum" }]],
            [for gate in aws_cloudfront_function.gate :
            ["AWS/CloudFront", "KvsReadErrors", "FunctionName", gate.name, "Region", "Global", { stat = "Sum" }]],
            [for name in names :
            ["AWS/CloudFront", "FunctionComputeUtilization", "FunctionName", name, "Region", "Global", { stat = "Average", yAxis = "right" }]],
          )
        }
    } if length(names) > 0])
  })
}
