# The planned stack with a mocked account: the properties that every change must keep.

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
}

run "nothing_is_public" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue([
      for block in [
        aws_s3_bucket_public_access_block.uploads,
        aws_s3_bucket_public_access_block.media,
        aws_s3_bucket_public_access_block.web,
      ] : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets
    ])
    error_message = "A bucket may be public."
  }
  assert {
    condition     = aws_lambda_function_url.api.authorization_type == "AWS_IAM"
    error_message = "The function URL answers without a signature."
  }
  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.uploads, aws_sqs_queue.dead, aws_sqs_queue.outcomes] : queue.sqs_managed_sse_enabled])
    error_message = "A queue is not encrypted."
  }
  assert {
    condition     = alltrue([for origin in [aws_cloudfront_origin_access_control.s3, aws_cloudfront_origin_access_control.api] : origin.signing_behavior == "always"])
    error_message = "An origin is requested without a signature."
  }
}

run "policies_grant_the_least" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.processor,
        data.aws_iam_policy_document.api,
        data.aws_iam_policy_document.invalidation,
        data.aws_iam_policy_document.signer,
        data.aws_iam_policy_document.edge[0],
        data.aws_iam_policy_document.guardduty,
        data.aws_iam_policy_document.guardduty_trust,
        data.aws_iam_policy_document.lambda,
        data.aws_iam_policy_document.edge_trust[0],
        data.aws_iam_policy_document.signer_trust,
        ] : [
        for statement in document.statement : [for action in statement.actions : !strcontains(action, "*")]
      ]
    ]))
    error_message = "A role has an action with a wildcard."
  }
  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.processor,
        data.aws_iam_policy_document.api,
        data.aws_iam_policy_document.invalidation,
        data.aws_iam_policy_document.signer,
        data.aws_iam_policy_document.edge[0],
        data.aws_iam_policy_document.guardduty,
        ] : [
        for statement in document.statement : [for resource in statement.resources : resource != "*"]
      ]
    ]))
    error_message = "A role has an action on all resources."
  }
  assert {
    condition = alltrue([
      for document in [
        data.aws_iam_policy_document.uploads,
        data.aws_iam_policy_document.media,
        data.aws_iam_policy_document.web,
        data.aws_iam_policy_document.queue["uploads"],
        data.aws_iam_policy_document.queue["dead"],
        data.aws_iam_policy_document.queue["outcomes"],
        ] : anytrue([
          for statement in document.statement : (
            try(statement.effect, "") == "Deny" &&
            anytrue([for condition in statement.condition : condition.variable == "aws:SecureTransport" && contains(condition.values, "false")])
          )
      ])
    ])
    error_message = "A bucket or a queue can be reached without TLS."
  }
  # Every statement that allows something names a service, and only this stack's resources of it.
  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.uploads,
        data.aws_iam_policy_document.media,
        data.aws_iam_policy_document.web,
        data.aws_iam_policy_document.queue["uploads"],
        ] : [
        for statement in document.statement : (
          try(statement.effect, "Allow") == "Deny" || (
            alltrue([for principal in statement.principals : principal.type == "Service"]) &&
            anytrue([for condition in statement.condition : condition.variable == "aws:SourceArn"])
          )
        )
      ]
    ]))
    error_message = "A bucket or a queue grants an action beyond this stack."
  }
  assert {
    condition = toset(flatten([
      for statement in data.aws_iam_policy_document.signer.statement : statement.actions
    ])) == toset(["s3:PutObject", "s3:GetObject"])
    error_message = "The signer has a permission that forms and links do not need."
  }
  # The keys of what viewers reach begin with it; a path that names it leads to o/o/.
  assert {
    condition = {
      for origin in aws_cloudfront_distribution.this.origin : origin.origin_id => try(coalesce(origin.origin_path), "")
    } == { web = "", media = "/o", api = "" }
    error_message = "The media origin reads outside of its folder, or another origin reads within one."
  }
  assert {
    condition = alltrue(flatten([
      for statement in concat(data.aws_iam_policy_document.signer.statement, data.aws_iam_policy_document.media.statement) : [
        for resource in statement.resources : contains(["arn:aws:s3:::media/o/media/*", "arn:aws:s3:::media/o/team/*"], resource)
      ] if contains(statement.actions, "s3:GetObject") && coalesce(statement.effect, "Allow") == "Allow"
    ]))
    error_message = "Links and viewers reach objects outside the rules' paths."
  }
  # The tests read actions and resources, so NotAction and NotResource would evade them.
  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.processor,
        data.aws_iam_policy_document.api,
        data.aws_iam_policy_document.invalidation,
        data.aws_iam_policy_document.signer,
        data.aws_iam_policy_document.edge[0],
        data.aws_iam_policy_document.guardduty,
        data.aws_iam_policy_document.uploads,
        data.aws_iam_policy_document.media,
        data.aws_iam_policy_document.web,
        ] : [
        for statement in document.statement :
        statement.not_actions == null && statement.not_resources == null && length(statement.not_principals) == 0
      ]
    ]))
    error_message = "A policy uses NotAction, NotResource or NotPrincipal."
  }
}

run "bucket_signatures_last_at_most_an_hour" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.uploads.statement : try(statement.effect, "") == "Deny" && anytrue([
        for condition in statement.condition : condition.variable == "s3:signatureAge" && condition.values == tolist(["3600000"])
      ])
    ])
    error_message = "The bucket accepts forms that are older than a session."
  }
  assert {
    condition     = aws_s3_object.web["settings.json"].content == null && aws_s3_object.web["settings.json"].source_hash == "01"
    error_message = "The page's link lifetime differs from the packed one."
  }
}

run "the_edge_decides_before_the_cache" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior :
      behaviour.target_origin_id != "media" || length([
        for association in behaviour.lambda_function_association : association
        if association.event_type == "viewer-request" && can(regex(":us-east-1:.*:[0-9]+$", association.lambda_arn))
      ]) == 1
    ])
    error_message = "Media are served without the authorizer, or its version is not a numbered one in us-east-1."
  }
  assert {
    condition     = aws_cloudfront_distribution.this.default_cache_behavior[0].target_origin_id == "web"
    error_message = "A path without a rule reaches more than the page."
  }
  assert {
    condition     = [for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern] == ["/api/*", "/media/*", "/team/*"]
    error_message = "The behaviours are not those of the package's rules."
  }
  assert {
    condition = alltrue([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.viewer_protocol_policy == "https-only"
    ])
    error_message = "A behaviour serves requests without TLS."
  }
  assert {
    condition     = aws_lambda_function.edge[0].publish && aws_lambda_function.edge[0].memory_size == 128 && aws_lambda_function.edge[0].timeout <= 30
    error_message = "The function does not meet the limits of viewer-request."
  }
}

run "named_sites_can_read_what_they_fetch" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue([
      for policy in aws_cloudfront_response_headers_policy.served :
      one(one(policy.cors_config).access_control_allow_origins).items == toset(["https://app.example.com"])
      && one(policy.cors_config).access_control_allow_credentials
      && one(one(policy.cors_config).access_control_allow_headers).items == toset(["accept"])
    ])
    error_message = "A named site's script cannot read the media that it fetches, or another site's script can."
  }
  assert {
    condition     = length(aws_cloudfront_response_headers_policy.page.cors_config) == 0
    error_message = "Scripts of other sites can read the page."
  }
  assert {
    condition = toset(one(aws_s3_bucket_cors_configuration.uploads[0].cors_rule).allowed_origins) == toset([
      "https://d111111abcdef8.cloudfront.net", "https://app.example.com"
    ])
    error_message = "Pages that [cors] names cannot send forms, or other pages can."
  }
}

run "browsers_ask_again_for_what_is_private" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue(flatten([
      for name in ["media", "guarded"] : [
        for header in [["Cache-Control", "private, no-cache"], ["Cross-Origin-Resource-Policy", "same-site"]] : anytrue([
          for item in one(aws_cloudfront_response_headers_policy.served[name].custom_headers_config).items :
          item.header == header[0] && item.value == header[1] && item.override
        ])
      ]
    ]))
    error_message = "A browser would show private pictures to the next person."
  }
  assert {
    condition = { for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern => behaviour.response_headers_policy_id if behaviour.target_origin_id == "media" } == {
      "/media/*" = aws_cloudfront_response_headers_policy.served["media"].id
      "/team/*"  = aws_cloudfront_response_headers_policy.served["guarded"].id
    }
    error_message = "A behaviour's policy does not match its rules."
  }
  # CloudFront's own cache ignores these policies.
  assert {
    condition     = aws_cloudfront_cache_policy.media.min_ttl == 86400
    error_message = "CloudFront's cache is limited by the browsers' lifetime."
  }
}

run "browsers_keep_what_is_public_or_configured" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/public"
  }

  assert {
    condition = {
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.path_pattern => {
        for item in one(one([
          for policy in aws_cloudfront_response_headers_policy.served : policy if policy.id == behaviour.response_headers_policy_id
        ]).custom_headers_config).items : item.header => item.value
      } if behaviour.target_origin_id == "media"
      } == {
      "/media/open/*" = { "Cross-Origin-Resource-Policy" = "cross-origin" }
      "/media/*"      = { "Cross-Origin-Resource-Policy" = "same-site", "Cache-Control" = "private, max-age=900" }
      "/open/*"       = { "Cross-Origin-Resource-Policy" = "cross-origin", "Cache-Control" = "private, no-cache" }
      "/team/*"       = { "Cross-Origin-Resource-Policy" = "same-site", "Cache-Control" = "private, no-cache" }
    }
    error_message = "A behaviour's headers do not match its rules and the configuration."
  }
}

run "errors_and_api_answers_are_not_cached" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = alltrue([
      for code in [404, 500, 502, 503, 504] : anytrue([
        for response in aws_cloudfront_distribution.this.custom_error_response :
        response.error_code == code && response.error_caching_min_ttl == 0
      ])
    ])
    error_message = "CloudFront caches errors for ten seconds, for every viewer."
  }
  assert {
    condition = one([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.cache_policy_id
      if behaviour.path_pattern == "/api/*"
    ]) == local.caching_disabled
    error_message = "Answers of the API are cached."
  }
  assert {
    condition = one([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : (
        contains(behaviour.allowed_methods, "OPTIONS") && !contains(behaviour.cached_methods, "OPTIONS") &&
        behaviour.origin_request_policy_id == local.all_viewer_except_host_header &&
        (behaviour.response_headers_policy_id == null || behaviour.response_headers_policy_id == "")
      ) if behaviour.path_pattern == "/api/*"
    ])
    error_message = "Preflights do not reach the API, or CloudFront answers them itself."
  }
  assert {
    condition = strcontains(
      one(one(aws_cloudfront_response_headers_policy.page.security_headers_config).content_security_policy).content_security_policy,
      "connect-src 'self' https://mocked.s3.eu-central-1.amazonaws.com https://login.example.com;",
    )
    error_message = "The page's Content-Security-Policy blocks a request that it needs."
  }
}

run "work_is_not_lost" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition     = aws_sqs_queue.uploads.visibility_timeout_seconds >= 6 * aws_lambda_function.processor.timeout
    error_message = "A message is delivered again while it is being processed."
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.uploads.redrive_policy).maxReceiveCount == 9
    error_message = "The number of tries differs from the documentation."
  }
  assert {
    condition = {
      for name in ["GATEPOST_UPLOAD_QUEUE_URL", "GATEPOST_MAX_RECEIVES"] : name => try(aws_lambda_function.processor.environment[0].variables[name], null)
      } == {
      GATEPOST_UPLOAD_QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads"
      GATEPOST_MAX_RECEIVES     = "9"
    }
    error_message = "The processor does not know its queue, or which try is the last."
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.dead_letters.alarm_description, "failed 9 times")
    error_message = "The alarm names another number of tries."
  }
  assert {
    condition     = contains(aws_lambda_event_source_mapping.uploads.function_response_types, "ReportBatchItemFailures")
    error_message = "One failure fails the batch."
  }
  assert {
    condition     = aws_lambda_function.processor.environment[0].variables["MALLOC_MMAP_THRESHOLD_"] == "131072"
    error_message = "glibc does not return the memory of pictures."
  }
  assert {
    condition = { for rule in aws_s3_bucket_lifecycle_configuration.uploads.rule : rule.id => try(one(rule.expiration).days, null) } == {
      abort-unfinished = null, forget-old-versions = 0, rejected = 30
    }
    error_message = "Originals expire that may still be needed."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_cors_configuration.uploads[0].cors_rule : toset(rule.allowed_methods) == toset(["POST"])])
    error_message = "Pages have more methods than POST at the upload bucket."
  }
}

# The processor's own delays before the second to the fourth receive are 2 s, 10 s and 60 s; the others are 6 minutes.
# A message whose workers are all killed waits for the queue's timeout each time.
run "an_upload_is_tried_for_half_an_hour_with_the_shortest_timeout" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    processor = { timeout_seconds = 45 }
  }

  assert {
    condition = (
      2 + 10 + 60 + (jsondecode(aws_sqs_queue.uploads.redrive_policy).maxReceiveCount - 4) * 360 >= 30 * 60
      && (jsondecode(aws_sqs_queue.uploads.redrive_policy).maxReceiveCount - 1) * aws_sqs_queue.uploads.visibility_timeout_seconds >= 30 * 60
    )
    error_message = "An outage of S3 for a quarter of an hour makes dead letters."
  }
}

run "a_long_timeout_is_waited_for" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    processor = { timeout_seconds = 300 }
  }

  assert {
    condition     = aws_sqs_queue.uploads.visibility_timeout_seconds == 6 * 300 && aws_lambda_function.processor.timeout == 300
    error_message = "A message is delivered again while it is being processed."
  }
}

run "options" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    rate_limit            = 2000
    upload_retention_days = 30
    origins               = ["https://other.example.com"]
    domain = {
      name            = "photos.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    }
  }

  assert {
    condition     = aws_cloudfront_distribution.this.web_acl_id == "arn:aws:wafv2:us-east-1:123456789012:global/webacl/mocked/1"
    error_message = "The firewall is not in front of the distribution."
  }
  assert {
    condition = toset(one(aws_s3_bucket_cors_configuration.uploads[0].cors_rule).allowed_origins) == toset([
      "https://d111111abcdef8.cloudfront.net", "https://photos.example.com", "https://app.example.com", "https://other.example.com"
    ])
    error_message = "Pages that were not named may post."
  }
  assert {
    condition     = nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_ORIGINS"]) == "https://other.example.com"
    error_message = "The bucket and the API allow different pages."
  }
  assert {
    condition     = output.url == "https://photos.example.com/"
    error_message = "The output url does not name the domain."
  }
  assert {
    condition     = one(aws_cloudfront_distribution.this.viewer_certificate).minimum_protocol_version == "TLSv1.2_2021"
    error_message = "Old TLS versions are accepted."
  }
}

run "uploads_are_scanned" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    malware_protection = true
  }

  assert {
    condition     = length(aws_s3_bucket_notification.uploads.queue) == 0 && aws_s3_bucket_notification.uploads.eventbridge
    error_message = "The bucket announces uploads before they are scanned."
  }
  assert {
    condition     = aws_cloudwatch_event_target.scanned[0].arn == aws_sqs_queue.uploads.arn
    error_message = "Scanned uploads are not announced to the queue."
  }
  assert {
    condition     = aws_lambda_function.processor.environment[0].variables["GATEPOST_MALWARE_SCAN"] == "guardduty"
    error_message = "The processor does not wait for the scan."
  }
  assert {
    condition     = one(one(aws_guardduty_malware_protection_plan.uploads[0].actions).tagging).status == "ENABLED"
    error_message = "The scan leaves no tag."
  }
  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.uploads.statement : (
        try(statement.effect, "") == "Deny" && contains(statement.actions, "s3:PutObjectTagging") &&
        anytrue([for condition in statement.condition : condition.test == "ArnNotEquals" && contains(condition.values, aws_iam_role.guardduty[0].arn)])
      )
    ])
    error_message = "Another principal than GuardDuty may tag an upload as clean."
  }
  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.processor.statement : contains(statement.actions, "s3:GetObjectTagging")
    ])
    error_message = "The processor lacks the permission to read the tag."
  }
}

run "links_are_signed_for_cloudfront" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
    }
  }

  assert {
    condition = one([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.trusted_key_groups
      if behaviour.path_pattern == "/shared/*"
    ]) == tolist([aws_cloudfront_key_group.links[0].id])
    error_message = "Shared objects are served without a signature."
  }
  assert {
    condition = one([
      for behaviour in aws_cloudfront_distribution.this.ordered_cache_behavior : behaviour.response_headers_policy_id
      if behaviour.path_pattern == "/shared/*"
    ]) == aws_cloudfront_response_headers_policy.served["public"].id
    error_message = "Browsers cache the objects of links, or other sites cannot embed them."
  }
  assert {
    condition     = alltrue([for key in aws_cloudfront_public_key.links : endswith(key.encoded_key, "-----\n")])
    error_message = "Every plan would replace the key."
  }
  assert {
    condition     = nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_CLOUDFRONT_URL"]) == "/shared"
    error_message = "Links do not lead to the API's distribution."
  }
  assert {
    condition = alltrue(flatten([
      for statement in data.aws_iam_policy_document.api.statement : [for action in statement.actions : !can(regex("^(secretsmanager|ssm|kms):", action))]
    ]))
    error_message = "The API may read secrets that it does not need."
  }
  assert {
    condition = jsondecode(aws_s3_object.web["settings.json"].content) == {
      sign_in = null, types = ["image/jpeg"], max_bytes = 26214400, link_seconds = 86400
    }
    error_message = "The page's link lifetime differs from the lifetime with keys."
  }
  assert {
    condition = (aws_cloudfront_cache_policy.links[0].max_ttl <= 60 && contains(
      one(one(aws_cloudfront_cache_policy.links[0].parameters_in_cache_key_and_forwarded_to_origin).headers_config[0].headers).items,
      "x-gatepost-shared",
    ))
    error_message = "A link still shows a deleted object after more than a minute."
  }
}

# This run continues with the state of the previous run: the signing key is still there, and is the same.
run "the_next_link_key_is_known_before_it_signs" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
      next    = "-----BEGIN PUBLIC KEY-----\nanother of a test\n-----END PUBLIC KEY-----"
    }
  }

  assert {
    condition     = length(aws_cloudfront_key_group.links[0].items) == 2 && aws_cloudfront_key_group.links[0].items == toset(output.link_key_ids)
    error_message = "CloudFront does not know the next key."
  }
  assert {
    condition = (nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_CLOUDFRONT_KEY_PAIR_ID"])
    == one(run.links_are_signed_for_cloudfront.link_key_ids))
    error_message = "The next key signs already."
  }
}

run "links_of_a_former_key_continue" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    domain = {
      name            = "photos.example.com"
      certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
    }
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nanother of a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nanother of a test\n-----END PRIVATE KEY-----\n"
      former  = ["-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----\n"]
    }
  }

  assert {
    condition     = aws_cloudfront_key_group.links[0].items == toset([for key in aws_cloudfront_public_key.links : key.id])
    error_message = "Links of the former key stop at once."
  }
  assert {
    condition     = toset(output.link_key_ids) == toset(run.the_next_link_key_is_known_before_it_signs.link_key_ids)
    error_message = "A key is replaced: its links stop, and CloudFront does not know the signing key."
  }
  assert {
    condition = contains(
      setsubtract(
        run.the_next_link_key_is_known_before_it_signs.link_key_ids,
        run.links_are_signed_for_cloudfront.link_key_ids,
      ),
      nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_CLOUDFRONT_KEY_PAIR_ID"]),
    )
    error_message = "The former key signs, or a key that CloudFront did not know before."
  }
  assert {
    condition     = nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_CLOUDFRONT_URL"]) == "https://photos.example.com/shared"
    error_message = "Links lead to another address."
  }
}

# Without next: the key is in the group, but CloudFront may not have it everywhere at its first signature.
run "a_link_key_is_replaced_in_one_apply" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\na third of a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\na third of a test\n-----END PRIVATE KEY-----\n"
      # A repeated key is one key.
      former = [
        "-----BEGIN PUBLIC KEY-----\nanother of a test\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----\nanother of a test\n-----END PUBLIC KEY-----\n",
      ]
    }
  }

  assert {
    condition = (length(output.link_key_ids) == 2 && length(setintersection(
      output.link_key_ids,
      run.links_of_a_former_key_continue.link_key_ids,
    )) == 1)
    error_message = "The former key is replaced, and CloudFront refuses to delete the old one."
  }
  assert {
    condition = !contains(
      run.links_of_a_former_key_continue.link_key_ids,
      nonsensitive(aws_lambda_function.api.environment[0].variables["GATEPOST_CLOUDFRONT_KEY_PAIR_ID"]),
    )
    error_message = "The former key signs."
  }
}

# The keys of the previous run: none is replaced.
run "a_link_key_is_the_same_however_its_text_was_handed_over" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "  \"-----BEGIN PUBLIC KEY-----\\na third of a test\\n-----END PUBLIC KEY-----\\n\""
      private = "\ufeff'-----BEGIN PRIVATE KEY-----\\na third of a test\\n-----END PRIVATE KEY-----\\n'"
      former  = ["\ufeff-----BEGIN PUBLIC KEY-----\r\n  another of a test\r\n  -----END PUBLIC KEY-----\r\n"]
    }
  }

  assert {
    condition     = output.link_key_ids == run.a_link_key_is_replaced_in_one_apply.link_key_ids
    error_message = "A key is replaced because of a byte order mark, and its links stop."
  }
  assert {
    condition = alltrue([
      for key in aws_cloudfront_public_key.links :
      can(regex("^-----BEGIN PUBLIC KEY-----\n[a-z]+\n-----END PUBLIC KEY-----\n$", key.encoded_key))
    ])
    error_message = "CloudFront receives text that is not PEM."
  }
}

run "the_api_may_read_its_private_keys_and_no_others" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public             = "-----BEGIN PUBLIC KEY-----\na third of a test\n-----END PUBLIC KEY-----"
      private_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf"
      kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/1"
    }
    session_key = {
      private_secret_arn = "arn:aws:ssm:eu-central-1:123456789012:parameter/session"
    }
  }

  assert {
    condition = {
      for name, value in nonsensitive(aws_lambda_function.api.environment[0].variables) : name => value if strcontains(name, "PRIVATE_KEY")
      } == {
      GATEPOST_CLOUDFRONT_PRIVATE_KEY_SECRET_ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf"
      GATEPOST_SESSION_PRIVATE_KEY_SECRET_ARN    = "arn:aws:ssm:eu-central-1:123456789012:parameter/session"
    }
    error_message = "The environment contains a private key, or the API does not know its secret."
  }
  assert {
    condition = {
      for statement in data.aws_iam_policy_document.api.statement : one(statement.actions) => statement.resources
      if length(setintersection(statement.actions, ["secretsmanager:GetSecretValue", "ssm:GetParameter", "kms:Decrypt"])) > 0
      } == {
      "secretsmanager:GetSecretValue" = toset(["arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf"])
      "ssm:GetParameter"              = toset(["arn:aws:ssm:eu-central-1:123456789012:parameter/session"])
      "kms:Decrypt"                   = toset(["arn:aws:kms:eu-central-1:123456789012:key/1"])
    }
    error_message = "The API cannot read its keys, or can read other secrets."
  }
}

run "a_private_key_is_given_once" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public             = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private            = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
      private_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:links-AbCdEf"
    }
    session_key = { kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/1" }
  }

  expect_failures = [var.link_keys, var.session_key]
}

run "private_keys_are_named_by_whole_arns" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public             = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:*"
    }
    session_key = { private_secret_arn = "session" }
  }

  expect_failures = [var.link_keys, var.session_key]
}

run "a_truncated_link_key_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----"
    }
  }

  expect_failures = [var.link_keys]
}

run "a_next_link_key_must_be_public" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
      next    = "-----BEGIN PRIVATE KEY-----\nanother of a test\n-----END PRIVATE KEY-----"
    }
  }

  expect_failures = [var.link_keys]
}

run "a_key_group_has_five_keys_at_most" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
      next    = "-----BEGIN PUBLIC KEY-----\nb\n-----END PUBLIC KEY-----"
      former  = [for n in ["c", "d", "e", "f"] : "-----BEGIN PUBLIC KEY-----\n${n}\n-----END PUBLIC KEY-----"]
    }
  }

  expect_failures = [var.link_keys]
}

run "a_missing_package_is_reported" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/nowhere"
  }

  expect_failures = [terraform_data.package]
}

run "packages_of_two_runs_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/mixed"
  }

  expect_failures = [terraform_data.package]
}

# Role chaining: signatures of the bucket expire after an hour at most.
run "forms_that_a_session_cannot_sign_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/long-forms"
  }

  expect_failures = [terraform_data.package]
}

run "links_that_a_session_cannot_sign_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/long-links"
  }

  expect_failures = [terraform_data.package]
}

run "long_links_are_signed_with_keys" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/long-links"
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN PRIVATE KEY-----\nof a test\n-----END PRIVATE KEY-----\n"
    }
  }

  assert {
    condition     = endswith(aws_s3_object.web["settings.json"].source, "/web/settings.json")
    error_message = "The page's link lifetime differs from the configured one."
  }
  # CloudFront's links may last for a day, and those of the bucket an hour.
  assert {
    condition     = local.oldest_signature == 3600 + 300
    error_message = "The bucket accepts URLs that are older than a session."
  }
}

run "an_untested_runtime_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    edge_runtime = "nodejs20.x"
  }

  expect_failures = [aws_lambda_function.edge]
}

run "unknown_delivery_modes_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    dist = "./tests/unknown-mode"
  }

  expect_failures = [terraform_data.package]
}

run "invalid_variables_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    name                  = "Gate_Post"
    origins               = ["*"]
    log_retention_days    = 2
    rate_limit            = 1
    price_class           = "cheap"
    processor             = { memory_mb = 128, timeout_seconds = 900 }
    upload_retention_days = 18
    alarm_topic_arn       = { us_east_1 = "arn:aws:sns:eu-central-1:123456789012:alarms" }
    tags                  = { for n in range(10) : "tag-${n}" => "x" }
    link_keys = {
      public  = "-----BEGIN PUBLIC KEY-----\nof a test\n-----END PUBLIC KEY-----"
      private = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nof a test\n-----END ENCRYPTED PRIVATE KEY-----\n"
    }
  }

  expect_failures = [
    var.name, var.origins, var.log_retention_days, var.rate_limit, var.price_class, var.processor,
    var.tags, var.upload_retention_days, var.alarm_topic_arn, var.link_keys,
  ]
}
