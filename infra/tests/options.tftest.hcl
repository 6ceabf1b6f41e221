# What companies ask of a module: their own keys, boundaries, firewall and logs. Also the choices about the distribution,
# and what a destroy leaves.

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

run "a_destroy_keeps_the_function_at_the_edge" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition     = aws_lambda_function.edge[0].skip_destroy
    error_message = "A destroy waits for hours for the function at the edge."
  }
}

run "a_destroy_can_wait_for_the_function_at_the_edge" {
  command = plan

  module {
    source = "./modules/gatepost"
  }

  variables {
    keep_edge_function = false
  }

  assert {
    condition     = !aws_lambda_function.edge[0].skip_destroy
    error_message = "The function at the edge stays although it should not."
  }
}

run "roles_have_a_permissions_boundary" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:policy/boundary"
    malware_protection   = true
  }

  assert {
    condition = toset([
      for role in concat(
        [aws_iam_role.api, aws_iam_role.signer, aws_iam_role.processor, aws_iam_role.edge[0]],
        aws_iam_role.guardduty, aws_iam_role.sweep,
      ) : role.permissions_boundary
    ]) == toset(["arn:aws:iam::123456789012:policy/boundary"])
    error_message = "A role can do more than the boundary allows."
  }
}

run "a_permissions_boundary_is_a_policy" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    permissions_boundary = "arn:aws:iam::123456789012:role/boundary"
  }

  expect_failures = [var.permissions_boundary]
}

run "the_distribution_is_plain_by_default" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  assert {
    condition = (
      aws_cloudfront_distribution.this.http_version == "http2and3"
      && length(flatten([for origin in aws_cloudfront_distribution.this.origin : origin.origin_shield])) == 0
      && length(concat(aws_wafv2_web_acl.this, aws_cloudwatch_log_delivery.access)) == 0
    )
    error_message = "Options of the distribution are on without being asked for."
  }
}

run "the_distribution_has_its_options" {
  command = apply

  module {
    source = "./modules/gatepost"
  }
  variables {
    http3         = false
    origin_shield = "eu-west-1"
    web_acl_arn   = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/own/1"
    access_logs   = { bucket_arn = "arn:aws:s3:::company-logs/gatepost" }
    session_store = true
  }

  # The store and the secret of mode "function", before the switch to it.
  assert {
    condition = (
      output.session_store_arn == "arn:aws:cloudfront::123456789012:key-value-store/mocked" && output.session_store_readers_denied != null
      && length(aws_cloudfront_function.gate) == 0 && length(aws_lambda_function.edge) == 1
      && !contains(keys(nonsensitive(aws_lambda_function.api.environment[0].variables)), "GATEPOST_SESSION_SECRETS_ARN")
    )
    error_message = "The store is missing before the switch, or the API needs it already."
  }
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.api.statement : tolist(statement.resources) if contains(statement.actions, "secretsmanager:GetSecretValue")
    ] == [tolist([output.session_secret_arn])]
    error_message = "The API may not read the secret when it starts in mode function."
  }
  assert {
    condition     = aws_cloudfront_distribution.this.http_version == "http2"
    error_message = "HTTP/3 is served although it is switched off."
  }
  assert {
    condition = {
      for origin in aws_cloudfront_distribution.this.origin : origin.origin_id => [for shield in origin.origin_shield : [shield.enabled, shield.origin_shield_region]]
    } == { web = [], media = [[true, "eu-west-1"]], api = [] }
    error_message = "The origin shield is not in front of the media bucket alone."
  }
  assert {
    condition = (aws_cloudfront_distribution.this.web_acl_id == "arn:aws:wafv2:us-east-1:123456789012:global/webacl/own/1"
    && length(aws_wafv2_web_acl.this) == 0)
    error_message = "The caller's web ACL is not in front of the distribution."
  }
  assert {
    condition = [for delivery in aws_cloudwatch_log_delivery.access : [
      delivery.delivery_source_name == one(aws_cloudwatch_log_delivery_source.access).name,
      one(aws_cloudwatch_log_delivery_source.access).resource_arn == aws_cloudfront_distribution.this.arn,
      delivery.delivery_destination_arn == one(aws_cloudwatch_log_delivery_destination.access).arn,
      one(one(aws_cloudwatch_log_delivery_destination.access).delivery_destination_configuration).destination_resource_arn,
    ]] == [[true, true, true, "arn:aws:s3:::company-logs/gatepost"]]
    error_message = "The distribution's requests are not logged in the bucket."
  }
  # A reader of the logs must not be able to act as a viewer.
  assert {
    condition = (contains(one(aws_cloudwatch_log_delivery.access).record_fields, "cs-uri-stem")
    && length(setintersection(one(aws_cloudwatch_log_delivery.access).record_fields, ["cs-uri-query", "cs(Cookie)", "cs(Referer)"])) == 0)
    error_message = "The access logs contain signatures or sessions."
  }
}

run "a_distribution_has_one_web_acl" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    rate_limit  = 2000
    web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/own/1"
  }

  expect_failures = [terraform_data.package]
}

run "invalid_options_of_the_distribution_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    origin_shield = "nearby"
    web_acl_arn   = "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/own/1"
    access_logs   = { bucket_arn = "company-logs" }
  }

  expect_failures = [var.origin_shield, var.web_acl_arn, var.access_logs]
}

run "access_logs_with_credentials_are_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    access_logs = { bucket_arn = "arn:aws:s3:::company-logs", fields = ["cs-uri-stem", "cs-uri-query"] }
  }

  expect_failures = [var.access_logs]
}

run "stored_data_has_its_own_key" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    kms_key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/1"
    malware_protection = true
  }

  assert {
    condition = alltrue([
      for bucket in [
        aws_s3_bucket_server_side_encryption_configuration.uploads,
        aws_s3_bucket_server_side_encryption_configuration.media,
        aws_s3_bucket_server_side_encryption_configuration.web,
        ] : [for rule in bucket.rule : [
          rule.bucket_key_enabled,
          one(rule.apply_server_side_encryption_by_default).sse_algorithm,
          one(rule.apply_server_side_encryption_by_default).kms_master_key_id,
      ]] == [[true, "aws:kms", "arn:aws:kms:eu-central-1:123456789012:key/1"]]
    ])
    error_message = "A bucket is encrypted with another key, or pays for a call of KMS for each object."
  }
  assert {
    condition = alltrue([
      for queue in [aws_sqs_queue.uploads, aws_sqs_queue.dead, aws_sqs_queue.outcomes] :
      queue.kms_master_key_id == "arn:aws:kms:eu-central-1:123456789012:key/1"
    ])
    error_message = "A queue is encrypted with another key."
  }
  assert {
    condition = alltrue([
      for group in [aws_cloudwatch_log_group.api, aws_cloudwatch_log_group.processor, aws_cloudwatch_log_group.edge[0]] :
      group.kms_key_id == "arn:aws:kms:eu-central-1:123456789012:key/1"
    ])
    error_message = "Logs are encrypted with another key."
  }
  assert {
    condition = alltrue([
      for document in [
        data.aws_iam_policy_document.processor, data.aws_iam_policy_document.api,
        data.aws_iam_policy_document.signer, data.aws_iam_policy_document.guardduty,
        ] : [
        for statement in document.statement : [toset(statement.actions), toset(statement.resources)] if anytrue([for action in statement.actions : startswith(action, "kms:")])
      ] == [[toset(["kms:Decrypt", "kms:GenerateDataKey"]), toset(["arn:aws:kms:eu-central-1:123456789012:key/1"])]]
    ])
    error_message = "A role cannot use the key, or can use others."
  }
}

run "by_default_no_role_uses_a_key" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    malware_protection = true
  }

  assert {
    condition = alltrue(flatten([
      for document in [
        data.aws_iam_policy_document.processor, data.aws_iam_policy_document.api,
        data.aws_iam_policy_document.signer, data.aws_iam_policy_document.guardduty,
      ] : [for statement in document.statement : [for action in statement.actions : !startswith(action, "kms:")]]
    ]))
    error_message = "A role may use a key that it does not need."
  }
  assert {
    condition = [
      for rule in aws_s3_bucket_server_side_encryption_configuration.media.rule : one(rule.apply_server_side_encryption_by_default).sse_algorithm
    ] == ["AES256"]
    error_message = "The media bucket is not encrypted."
  }
}

run "a_key_of_another_region_is_refused" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1"
  }

  expect_failures = [terraform_data.package]
}

run "an_alias_is_not_a_key" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:alias/gatepost"
  }

  expect_failures = [var.kms_key_arn]
}

run "a_destroy_looks_for_photos_first" {
  command = plan

  module {
    source = "./modules/gatepost"
  }
  variables {
    delete_data_on_destroy = false
  }

  assert {
    condition     = terraform_data.guard.input.delete_data == "false" && !aws_s3_bucket.media.force_destroy && !aws_s3_bucket.uploads.force_destroy
    error_message = "A destroy deletes photos without being asked to."
  }
}
