# Mode "function": the gate in front of every path of the rules, and nothing of Lambda@Edge.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  dist = "./tests/function"
  # The guard's provisioner runs when a test's state is destroyed, although nothing exists.
  delete_data_on_destroy = true
  link_keys = {
    public             = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
    private_secret_arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/links"
  }
}

run "the_mode_is_lambda_before" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist = "./tests/dist"
  }

  assert {
    condition = (
      length(concat(aws_cloudfront_function.gate, aws_cloudfront_function.refusal, aws_cloudfront_key_value_store.sessions)) == 0
      && length(concat(aws_secretsmanager_secret.sessions, aws_cloudwatch_metric_alarm.gate_reads, aws_cloudwatch_metric_alarm.gate_utilization)) == 0
      && length(merge(aws_cloudfront_cache_policy.gated, aws_cloudwatch_metric_alarm.viewer_functions)) == 0
      && length(aws_cloudwatch_metric_alarm.edge_refusals) == 0
      && alltrue([for value in [output.session_store_arn, output.session_secret_arn, output.session_store_readers_denied] : value == null])
    )
    error_message = "Mode lambda has resources of mode function."
  }
  assert {
    condition     = strcontains(aws_cloudfront_function.shared[0].code, "'/')") && startswith(output.edge_function_name, "gatepost-edge-auth-")
    error_message = "Links name the prefix of keys, which the origin adds; or the function at the edge has no name."
  }
}

# This run continues with the state of the previous run: the switch is one apply.
run "a_switch_of_modes_keeps_the_buckets_and_the_gate_decides" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  assert {
    condition = [output.upload_bucket, output.media_bucket, output.web_bucket, output.distribution_id] == [
      run.the_mode_is_lambda_before.upload_bucket, run.the_mode_is_lambda_before.media_bucket,
      run.the_mode_is_lambda_before.web_bucket, run.the_mode_is_lambda_before.distribution_id,
    ]
    error_message = "Another mode replaces a bucket or the distribution."
  }
  assert {
    condition = (
      length(concat(aws_lambda_function.edge, aws_iam_role.edge, aws_cloudwatch_log_group.edge)) == 0
      && output.edge_function_name == null
    )
    error_message = "Mode function still has Lambda@Edge."
  }
  # The order counts: the first pattern that matches.
  assert {
    condition = [
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior :
      "${behaviour.path_pattern} ${behaviour.target_origin_id} ${join(",", [for association in behaviour.function_association : "${association.event_type} ${reverse(split("/", association.function_arn))[0]}"])}"
      ] == [
      "/o/* web viewer-request refusal",
      "/o web viewer-request refusal",
      "/api/* api viewer-request mocked",
      "/shared/* media viewer-request mocked",
      "/media/* media viewer-request gate",
      "/team/* media viewer-request gate",
    ]
    error_message = "Media are served without the gate, or a path may name the prefix of keys."
  }
  assert {
    condition = alltrue([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : length(behaviour.lambda_function_association) == 0
    ])
    error_message = "CloudFront accepts one function for the viewer's request of a behaviour."
  }
  assert {
    condition = {
      for origin in aws_cloudfront_distribution.this.origin : origin.origin_id => try(coalesce(origin.origin_path), "")
    } == { web = "", media = "", api = "" }
    error_message = "The origin adds the prefix to requests that the gate did not allow."
  }
  assert {
    condition = (
      aws_cloudfront_function.gate[0].runtime == "cloudfront-js-2.0" && aws_cloudfront_function.gate[0].publish
      && aws_cloudfront_function.gate[0].code == file("./tests/function/gate.js")
      && aws_cloudfront_function.gate[0].key_value_store_associations == toset([aws_cloudfront_key_value_store.sessions[0].arn])
      && coalesce(aws_cloudfront_key_value_store.sessions[0].comment, "") != ""
    )
    error_message = "The gate is not the packaged one, or cannot read the store."
  }
  assert {
    condition     = strcontains(aws_cloudfront_function.shared[0].code, "'/o/')") && aws_cloudfront_function.shared[0].name != "gatepost-shared-viewer-request"
    error_message = "Links find no object, or those of the other mode find none during the switch."
  }
  assert {
    condition     = strcontains(aws_cloudfront_function.refusal[0].code, "statusCode: 403") && aws_cloudfront_function.refusal[0].publish
    error_message = "Paths that name the prefix of keys are not refused."
  }
}

run "only_what_the_gate_allowed_has_its_cache_key" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  assert {
    condition = {
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern => behaviour.cache_policy_id
      if startswith(behaviour.path_pattern, "/media/") || startswith(behaviour.path_pattern, "/team/")
    } == { "/media/*" = aws_cloudfront_cache_policy.gated["media"].id, "/team/*" = aws_cloudfront_cache_policy.gated["other"].id }
    error_message = "A gated path has a cache key without the gate's header."
  }
  assert {
    condition = alltrue([
      for policy in aws_cloudfront_cache_policy.gated :
      one(one(one(policy.parameters_in_cache_key_and_forwarded_to_origin).headers_config).headers).items == toset(["x-gatepost-allowed"])
    ])
    error_message = "A gated path has a cache key without the gate's header."
  }
  assert {
    condition = alltrue([
      for behaviour in concat(aws_cloudfront_distribution.this.default_cache_behavior, [
        for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : {
          cache_policy_id = behaviour.cache_policy_id
        } if !contains(["/media/*", "/team/*"], behaviour.path_pattern)
      ]) : !contains([for policy in aws_cloudfront_cache_policy.gated : policy.id], behaviour.cache_policy_id)
    ])
    error_message = "A path without the gate has its cache key: the viewer can set the header there."
  }
  assert {
    condition = alltrue(flatten([
      for policy in concat([aws_cloudfront_cache_policy.media, aws_cloudfront_cache_policy.origin_decides], aws_cloudfront_cache_policy.links) : [
        for headers in one(one(policy.parameters_in_cache_key_and_forwarded_to_origin).headers_config).headers : !contains(headers.items, "x-gatepost-allowed")
      ]
    ]))
    error_message = "A path without the gate has its header in the cache key: the viewer can set it there."
  }
}

run "the_api_reads_the_secrets_of_sessions_alone" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  assert {
    condition     = nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_SESSION_SECRETS_ARN"]) == aws_secretsmanager_secret.sessions[0].arn
    error_message = "The API does not know the secrets of sessions."
  }
  assert {
    condition = {
      for statement in data.aws_iam_policy_document.api.statement : one(statement.actions) => statement.resources
      if anytrue([for action in statement.actions : can(regex("^(secretsmanager|ssm|kms|cloudfront|cloudfront-keyvaluestore):", action))])
      } == {
      "secretsmanager:GetSecretValue" = toset([aws_secretsmanager_secret.sessions[0].arn])
      "ssm:GetParameter"              = toset(["arn:aws:ssm:eu-central-1:123456789012:parameter/links"])
    }
    error_message = "The API cannot read the secrets of sessions, or can read others."
  }
  # A stack returns to this mode under the same name.
  assert {
    condition     = aws_secretsmanager_secret.sessions[0].name == "gatepost-sessions" && aws_secretsmanager_secret.sessions[0].recovery_window_in_days == 0
    error_message = "A deleted secret blocks its name for weeks."
  }
  assert {
    condition = [output.session_store_arn, output.session_secret_arn] == [
      "arn:aws:cloudfront::123456789012:key-value-store/mocked", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:sessions-AbCdEf"
    ]
    error_message = "The outputs do not name the store and the secret."
  }
  # Without session_store_readers everybody is denied.
  assert {
    condition     = [for statement in data.aws_iam_policy_document.session_store_readers_denied[0].statement : length(statement.condition)] == [0]
    error_message = "A condition that was not asked for weakens the denial."
  }
}

run "readers_of_the_store_are_denied" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    session_store_readers = ["arn:aws:iam::123456789012:role/operators"]
  }

  assert {
    condition = [
      for statement in data.aws_iam_policy_document.session_store_readers_denied[0].statement : [
        statement.effect,
        jsonencode(sort(statement.actions)),
        jsonencode(statement.resources),
        jsonencode([for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"]),
      ]
      ] == [[
        "Deny",
        jsonencode([for verb in ["Delete", "Get", "List", "Put", "Update"] : "cloudfront-keyvaluestore:${verb}*"]),
        jsonencode(["arn:aws:cloudfront::123456789012:key-value-store/mocked"]),
        jsonencode(["ArnNotLike aws:PrincipalArn arn:aws:iam::123456789012:role/operators"]),
    ]]
    error_message = "Others than the named roles can read the secrets of sessions, or add one."
  }
  assert {
    condition     = output.session_store_readers_denied == data.aws_iam_policy_document.session_store_readers_denied[0].json
    error_message = "The output is another policy."
  }
}

run "readers_are_roles_or_users" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    session_store_readers = ["*"]
  }

  expect_failures = [var.session_store_readers]
}

# aws:PrincipalArn is the role's ARN in each of its sessions.
run "readers_are_no_sessions_of_roles" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    session_store_readers = ["arn:aws:sts::123456789012:assumed-role/operators/alice"]
  }

  expect_failures = [var.session_store_readers]
}

# A private key without its public half in the package stops the API.
run "a_session_key_of_another_mode_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    session_key = { private_secret_arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/session" }
  }

  expect_failures = [terraform_data.package]
}

run "a_gate_that_is_too_large_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist      = "./tests/long-gate"
    link_keys = null
  }

  expect_failures = [aws_cloudfront_function.gate]
}

run "a_gate_of_another_package_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist      = "./tests/mixed-gate"
    link_keys = null
  }

  expect_failures = [aws_cloudfront_function.gate]
}
