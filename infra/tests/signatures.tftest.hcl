# Modes "signed" and "presigned", in which no code decides about viewers: CloudFront checks its signatures, or S3 checks
# its own. Both packages send forms through the distribution.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks_us_east_1"
}

variables {
  # The guard's provisioner runs when a test's state is destroyed, although nothing exists.
  delete_data_on_destroy = true
  link_keys = {
    public             = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
    private_secret_arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/links"
    next               = "-----BEGIN PUBLIC KEY-----\nanother of a test\n-----END PUBLIC KEY-----"
  }
}

run "cloudfront_checks_the_signatures_of_private_paths" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist          = "./tests/signed-mode"
    origin_shield = "eu-west-1"
  }

  # The order counts: the first pattern that matches.
  assert {
    condition = [
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : join(" ", concat(
        [behaviour.path_pattern, behaviour.target_origin_id, join(",", sort(behaviour.allowed_methods))],
        [for group in coalesce(behaviour.trusted_key_groups, []) : group == aws_cloudfront_key_group.links[0].id ? "signed" : "another group"],
        [for association in behaviour.function_association : reverse(split("/", association.function_arn))[0]],
        [for association in behaviour.lambda_function_association : "a function of Lambda"],
      ))
      ] == [
      "/api/* api DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT mocked",
      "/upload uploads DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT upload",
      "/shared/* media GET,HEAD signed mocked",
      "/media/open/* media GET,HEAD",
      "/media/* media GET,HEAD signed",
      "/team/* media GET,HEAD signed",
    ]
    error_message = "A private path is served without a signature, or a public one needs it."
  }
  assert {
    condition     = length(aws_cloudfront_key_group.links[0].items) == 2 && aws_cloudfront_key_group.links[0].items == toset(output.link_key_ids)
    error_message = "CloudFront does not know the next key: cookies of it would be refused for minutes."
  }
  assert {
    condition = {
      for origin in aws_cloudfront_distribution.this.origin :
      origin.origin_id => "${try(coalesce(origin.origin_path), "")} ${try(coalesce(origin.origin_access_control_id), "") == "" ? "open" : "signed"} ${length(origin.origin_shield)}"
    } == { web = " signed 0", media = "/o signed 1", uploads = " open 0", api = " signed 0" }
    error_message = "An origin has another path or another signature."
  }
  # The cookie and the query are not in the cache key: all viewers of a picture share it.
  assert {
    condition = {
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern => behaviour.cache_policy_id
      if behaviour.target_origin_id == "media"
      } == {
      "/shared/*"     = aws_cloudfront_cache_policy.links[0].id
      "/media/open/*" = aws_cloudfront_cache_policy.media.id
      "/media/*"      = aws_cloudfront_cache_policy.media.id
      "/team/*"       = aws_cloudfront_cache_policy.origin_decides.id
    }
    error_message = "A path has the cache policy of another mode."
  }
  assert {
    condition = alltrue([
      for policy in [aws_cloudfront_cache_policy.media, aws_cloudfront_cache_policy.origin_decides] : alltrue([
        for key in policy.parameters_in_cache_key_and_forwarded_to_origin : [
          one(key.cookies_config).cookie_behavior, one(key.query_strings_config).query_string_behavior, one(key.headers_config).header_behavior
        ] == ["none", "none", "none"]
      ])
    ])
    error_message = "Each viewer has cached pictures of their own."
  }
  # They would replace the API's own answers.
  assert {
    condition = alltrue([
      for response in aws_cloudfront_distribution.this.custom_error_response :
      response.error_code != 403 && try(coalesce(response.response_page_path), "") == ""
    ])
    error_message = "A page for errors replaces the answers of the API."
  }
  assert {
    condition = {
      for name, value in nonsensitive(aws_lambda_function.api.environment[0].variables) : name => value if strcontains(name, "CLOUDFRONT")
      } == {
      GATEPOST_CLOUDFRONT_URL                    = "/shared"
      GATEPOST_CLOUDFRONT_KEY_PAIR_ID            = local.link_key_id
      GATEPOST_CLOUDFRONT_PRIVATE_KEY_SECRET_ARN = "arn:aws:ssm:eu-central-1:123456789012:parameter/links"
    }
    error_message = "The API cannot sign cookies."
  }
  assert {
    condition = (
      length(concat(aws_lambda_function.edge, aws_cloudfront_function.gate, aws_cloudfront_function.refusal, aws_cloudfront_function.presigned)) == 0
      && length(concat(aws_cloudfront_key_value_store.sessions, aws_secretsmanager_secret.sessions)) == 0
      && length(aws_cloudfront_cache_policy.presigned) == 0 && length(aws_cloudfront_cache_policy.gated) == 0
    )
    error_message = "Mode signed has resources of another mode."
  }
  assert {
    condition = [
      for alarm in aws_cloudwatch_metric_alarm.edge_refusals : join(" ", concat(
        [for query in alarm.metric_query : query.expression if query.expression != null && query.expression != ""],
        sort(flatten([for query in alarm.metric_query : [
          for metric in query.metric :
          "${query.id}=${metric.metric_name}/${metric.stat}/${metric.dimensions.DistributionId == aws_cloudfront_distribution.this.id}/${metric.dimensions.Region}"
        ]])),
        ["${alarm.threshold} % ${alarm.evaluation_periods} times"],
      ))
    ] == ["IF(requests >= 100, refused, 0) refused=4xxErrorRate/Average/true/Global requests=Requests/Sum/true/Global 50 % 3 times"]
    error_message = "Nothing reports that CloudFront refuses everybody."
  }
  # Without a window.
  assert {
    condition     = local.oldest_signature == 1800 + 300
    error_message = "The bucket accepts URLs that are older than the longest link."
  }
}

# This run continues with the state of the previous run: the switch is one apply.
run "s3_checks_the_signatures_of_private_paths_and_of_forms" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist          = "./tests/presigned"
    origin_shield = "eu-west-1"
  }

  assert {
    condition = [output.upload_bucket, output.media_bucket, output.web_bucket, output.distribution_id] == [
      run.cloudfront_checks_the_signatures_of_private_paths.upload_bucket, run.cloudfront_checks_the_signatures_of_private_paths.media_bucket,
      run.cloudfront_checks_the_signatures_of_private_paths.web_bucket, run.cloudfront_checks_the_signatures_of_private_paths.distribution_id,
    ]
    error_message = "Another mode replaces a bucket or the distribution."
  }
  assert {
    condition = [
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : join(" ", concat(
        [behaviour.path_pattern, behaviour.target_origin_id, join(",", sort(behaviour.allowed_methods))],
        [for group in coalesce(behaviour.trusted_key_groups, []) : group == aws_cloudfront_key_group.links[0].id ? "signed" : "another group"],
        [for association in behaviour.function_association : reverse(split("/", association.function_arn))[0]],
        [for association in behaviour.lambda_function_association : "a function of Lambda"],
      ))
      ] == [
      "/api/* api DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT mocked",
      "/upload uploads DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT upload",
      "/shared/* media GET,HEAD signed mocked",
      "/media/open/* media GET,HEAD",
      "/media/* media-presigned GET,HEAD presigned",
      "/team/* media-presigned GET,HEAD presigned",
    ]
    error_message = "CloudFront signs requests for private objects itself, or a public path needs a signature."
  }
  assert {
    condition = {
      for origin in aws_cloudfront_distribution.this.origin :
      origin.origin_id => "${try(coalesce(origin.origin_path), "")} ${try(coalesce(origin.origin_access_control_id), "") == "" ? "open" : "signed"} ${length(origin.origin_shield)}"
    } == { web = " signed 0", media = "/o signed 1", media-presigned = "/o open 1", uploads = " open 0", api = " signed 0" }
    error_message = "CloudFront signs requests of viewers that have no signature, or reads another folder."
  }
  # The whole query is in the key, so that no viewer gets what another one's signature fetched.
  assert {
    condition = [
      for policy in aws_cloudfront_cache_policy.presigned : jsonencode([
        policy.min_ttl, policy.default_ttl, policy.max_ttl,
        [for key in policy.parameters_in_cache_key_and_forwarded_to_origin : [
          one(key.query_strings_config).query_string_behavior, one(key.cookies_config).cookie_behavior, one(key.headers_config).header_behavior
        ]],
      ])
    ] == ["[0,60,60,[[\"all\",\"none\",\"none\"]]]"]
    error_message = "Pictures are answered without the URL that fetched them, or for long after its end."
  }
  assert {
    condition = {
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior :
      behaviour.path_pattern => [behaviour.cache_policy_id, behaviour.response_headers_policy_id, try(coalesce(behaviour.origin_request_policy_id), "")]
      if contains(["media", "media-presigned"], behaviour.target_origin_id)
      } == {
      "/shared/*"     = [aws_cloudfront_cache_policy.links[0].id, aws_cloudfront_response_headers_policy.served["public"].id, ""]
      "/media/open/*" = [aws_cloudfront_cache_policy.media.id, aws_cloudfront_response_headers_policy.served["public_media"].id, ""]
      "/media/*"      = [aws_cloudfront_cache_policy.presigned[0].id, aws_cloudfront_response_headers_policy.served["media"].id, ""]
      "/team/*"       = [aws_cloudfront_cache_policy.presigned[0].id, aws_cloudfront_response_headers_policy.served["guarded"].id, ""]
    }
    error_message = "A path's policies are those of another mode."
  }
  assert {
    condition = alltrue([
      for function in [aws_cloudfront_function.presigned[0], aws_cloudfront_function.upload[0]] :
      function.runtime == "cloudfront-js-2.0" && function.publish
    ]) && aws_cloudfront_function.presigned[0].code == file("./modules/gatepost/presigned-viewer-request.js")
    error_message = "The functions are not the tested ones, or do not run."
  }
  # The bearer of a URL may show its picture on any site.
  assert {
    condition = toset(flatten([
      for name in ["media", "guarded"] : [
        for item in one(aws_cloudfront_response_headers_policy.served[name].custom_headers_config).items : "${item.header}: ${item.value}"
      ]
    ])) == toset(["Cross-Origin-Resource-Policy: cross-origin", "Cache-Control: private, no-cache"])
    error_message = "Another site cannot show a picture of a URL, or browsers keep it."
  }
  # The longest link, its window and five minutes.
  assert {
    condition = {
      for statement in data.aws_iam_policy_document.media.statement :
      statement.sid => join(" ", flatten([[for principal in statement.principals : principal.identifiers], [for condition in statement.condition : condition.values]]))
      if startswith(statement.sid, "Signer")
      } == {
      SignerOnlyInUrls      = "arn:aws:iam::123456789012:role/signer REST-QUERY-STRING"
      SignerNoOldSignatures = "arn:aws:iam::123456789012:role/signer 4200000"
    }
    error_message = "Signatures of another role are limited, or those of the signer are not."
  }
  # Forms through the distribution.
  assert {
    condition = one([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : [
        behaviour.cache_policy_id, behaviour.origin_request_policy_id, behaviour.response_headers_policy_id, behaviour.viewer_protocol_policy
      ] if behaviour.path_pattern == "/upload"
      ]) == [
      local.caching_disabled, aws_cloudfront_origin_request_policy.forms[0].id,
      aws_cloudfront_response_headers_policy.served["guarded"].id, "https-only",
    ]
    error_message = "Answers to forms are cached, sent without TLS or shown as pages."
  }
  assert {
    condition = [
      for policy in aws_cloudfront_origin_request_policy.forms : [
        one(policy.cookies_config).cookie_behavior,
        one(policy.query_strings_config).query_string_behavior,
        join(",", one(one(policy.headers_config).headers).items),
      ]
    ] == [["none", "none", "content-type"]]
    error_message = "The upload bucket does not get the boundary of a form, or gets a viewer's session."
  }
  assert {
    condition     = length(aws_s3_bucket_cors_configuration.uploads) == 0
    error_message = "Scripts may send forms to the bucket, which they need not."
  }
  assert {
    condition = strcontains(
      one(one(aws_cloudfront_response_headers_policy.page.security_headers_config).content_security_policy).content_security_policy,
      "connect-src 'self' https://login.example.com;",
    )
    error_message = "The page may call the bucket, which it need not."
  }
  assert {
    condition = toset(flatten([
      for name, alarm in aws_cloudwatch_metric_alarm.viewer_functions : [
        for query in alarm.metric_query : [for metric in query.metric : "${name} ${metric.dimensions.FunctionName}"]
      ]
      ])) == toset(flatten([
      for function in ["presigned", "upload"] : [
        for failure in ["execution-errors", "validation-errors", "throttles"] : "${function}-${failure} gatepost-${function}-viewer-request"
      ]
    ]))
    error_message = "A function of the mode fails without an alarm, or an alarm watches a function that does not exist."
  }
  assert {
    condition = (length(concat(aws_cloudwatch_metric_alarm.gate_utilization, aws_cloudwatch_metric_alarm.gate_reads)) == 0
    && length(aws_cloudwatch_metric_alarm.edge_refusals) == 1)
    error_message = "Mode presigned has alarms of mode function."
  }
}

# Back to a mode with code at the edge, without links and with forms to the bucket.
run "a_stack_returns_to_lambda" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist      = "./tests/dist"
    link_keys = null
  }

  assert {
    condition = (
      length(concat(aws_cloudfront_function.presigned, aws_cloudfront_function.upload, aws_cloudfront_origin_request_policy.forms)) == 0
      && length(aws_cloudfront_cache_policy.presigned) == 0 && length(aws_s3_bucket_cors_configuration.uploads) == 1
      && [for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern] == ["/api/*", "/media/*", "/team/*"]
      && length(flatten([for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : coalesce(behaviour.trusted_key_groups, [])])) == 0
    )
    error_message = "Mode lambda has resources of mode presigned."
  }
}

run "signed_needs_link_keys" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    dist      = "./tests/signed-mode"
    link_keys = null
  }

  expect_failures = [terraform_data.package]
}
