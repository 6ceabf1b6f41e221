# The alarms, by what they watch.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  dist = "./tests/dist"
  # The guard's provisioner runs when a test's state is destroyed, although nothing exists.
  delete_data_on_destroy = true
  alarm_topic_arn = {
    region    = "arn:aws:sns:eu-central-1:123456789012:alarms"
    us_east_1 = "arn:aws:sns:us-east-1:123456789012:alarms"
  }
}

run "an_api_that_answers_503_raises_an_alarm" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  assert {
    condition = [
      for alarm in [aws_cloudwatch_metric_alarm.api_5xx, aws_cloudwatch_metric_alarm.api_latency] :
      "${alarm.namespace} ${alarm.metric_name} ${jsonencode(alarm.dimensions)} ${jsonencode(alarm.alarm_actions)}"
      ] == [
      for metric in ["Url5xxCount", "UrlRequestLatency"] :
      "AWS/Lambda ${metric} {\"FunctionName\":\"gatepost-signing-api\"} [\"arn:aws:sns:eu-central-1:123456789012:alarms\"]"
    ]
    error_message = "Answers of 503 are successes of the function: nothing reports them."
  }
}

# Neither one stranger nor one request: more than a share, at least ten failures, and for ten minutes.
run "a_gate_that_fails_raises_an_alarm" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist = "./tests/function"
  }

  assert {
    condition = {
      for name, alarm in merge(aws_cloudwatch_metric_alarm.viewer_functions, { reads = aws_cloudwatch_metric_alarm.gate_reads[0] }) :
      name => join(" ", concat(
        [for query in alarm.metric_query : query.expression if query.expression != null],
        sort(flatten([for query in alarm.metric_query : [
          for metric in query.metric : "${query.id}=${metric.namespace}/${metric.metric_name}/${metric.stat}/${metric.period}/${jsonencode(metric.dimensions)}"
        ]])),
        ["${alarm.threshold} % ${alarm.evaluation_periods} times ${jsonencode(alarm.alarm_actions)}"],
      ))
      } == merge(
      {
        for name, metric in {
          gate-execution-errors  = "FunctionExecutionErrors"
          gate-validation-errors = "FunctionValidationErrors"
          gate-throttles         = "FunctionThrottles"
          } : name => join(" ", [
            "IF(failures >= 10, 100 * failures / (FILL(runs, 0) + failures), 0)",
            "failures=AWS/CloudFront/${metric}/Sum/300/{\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"}",
            "runs=AWS/CloudFront/FunctionInvocations/Sum/300/{\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"}",
            "1 % 2 times [\"arn:aws:sns:us-east-1:123456789012:alarms\"]",
        ])
      },
      {
        reads = join(" ", [
          "IF(errors >= 10, 100 * errors / (errors + FILL(reads, 0)), 0)",
          "errors=AWS/CloudFront/KvsReadErrors/Sum/300/{\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"}",
          "reads=AWS/CloudFront/KvsReadRequests/Sum/300/{\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"}",
          "10 % 2 times [\"arn:aws:sns:us-east-1:123456789012:alarms\"]",
        ])
      },
    )
    error_message = "No alarm reports that the gate fails, or one request raises it."
  }
  assert {
    condition = [
      for alarm in aws_cloudwatch_metric_alarm.gate_utilization :
      "${alarm.namespace} ${alarm.metric_name} ${alarm.statistic} ${jsonencode(alarm.dimensions)} ${jsonencode(alarm.alarm_actions)}"
    ] == ["AWS/CloudFront FunctionComputeUtilization Average {\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"} [\"arn:aws:sns:us-east-1:123456789012:alarms\"]"]
    error_message = "No alarm reports that the gate needs nearly all of its time."
  }
}
