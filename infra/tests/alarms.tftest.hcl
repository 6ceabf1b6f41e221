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
      for name, alarm in aws_cloudwatch_metric_alarm.gate :
      name => "${alarm.namespace} ${alarm.metric_name} ${alarm.statistic} ${jsonencode(alarm.dimensions)} ${jsonencode(alarm.alarm_actions)}"
      } == {
      for name, metric in {
        execution-errors  = "FunctionExecutionErrors Sum"
        validation-errors = "FunctionValidationErrors Sum"
        throttles         = "FunctionThrottles Sum"
        utilization       = "FunctionComputeUtilization Average"
      } : name => "AWS/CloudFront ${metric} {\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"} [\"arn:aws:sns:us-east-1:123456789012:alarms\"]"
    }
    error_message = "No alarm reports that the gate fails."
  }
  assert {
    condition = toset(flatten([
      for query in aws_cloudwatch_metric_alarm.gate_reads[0].metric_query : [
        for metric in query.metric : "${metric.namespace} ${metric.metric_name} ${metric.stat} ${jsonencode(metric.dimensions)}"
      ]
      ])) == toset([
      for metric in ["KvsReadErrors", "KvsReadRequests"] : "AWS/CloudFront ${metric} Sum {\"FunctionName\":\"gatepost-gate\",\"Region\":\"Global\"}"
    ])
    error_message = "No alarm reports that the gate cannot read its secrets."
  }
}
