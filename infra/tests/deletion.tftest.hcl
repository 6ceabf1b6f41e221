# Deletion is a write: a tombstone replaces the manifest, and no role may delete it. The tests check the roles'
# permissions on the two buckets and the queues, one by one.

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

# Every optional part that has a role is switched on.
run "the_roles_write_tombstones_and_delete_the_rest" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  variables {
    malware_protection = true
    sweep              = {}
  }

  assert {
    condition = length([
      for asked in flatten([
        for role in ["processor", "api", "signer", "edge", "guardduty", "sweep"] : [
          for action in ["s3:DeleteObject", "s3:DeleteObjectVersion"] : [
            for key in ["o/media/o/1/manifest.json", "o/media/x/manifest.json", "o/media/a/b/c/manifest.json"] :
            "${role} ${action} arn:aws:s3:::media/${key}"
          ]
        ]
        ]) : asked if anytrue([
        for statement in {
          processor = data.aws_iam_policy_document.processor.statement
          api       = data.aws_iam_policy_document.api.statement
          signer    = data.aws_iam_policy_document.signer.statement
          edge      = data.aws_iam_policy_document.edge[0].statement
          guardduty = data.aws_iam_policy_document.guardduty.statement
          sweep     = data.aws_iam_policy_document.sweep[0].statement
          }[split(" ", asked)[0]] : (
          coalesce(statement.effect, "Allow") == "Allow"
          && anytrue([for action in statement.actions : can(regex("^${replace(lower(action), "*", ".*")}$", lower(split(" ", asked)[1])))])
          && anytrue([for resource in statement.resources : can(regex("^${replace(resource, "*", ".*")}$", split(" ", asked)[2]))])
        )
      ])
    ]) == 0
    error_message = "A role may delete a manifest: a late event would then publish a deleted photo."
  }
  assert {
    condition = [
      for asked in [
        "api s3:GetObject arn:aws:s3:::media/o/media/o/1/manifest.json",
        "api s3:PutObject arn:aws:s3:::media/o/media/o/1/manifest.json",
        "api s3:PutObjectTagging arn:aws:s3:::media/o/media/o/1/manifest.json",
        "api s3:DeleteObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "api s3:DeleteObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.jpg",
        "api s3:ListBucket arn:aws:s3:::media",
        "api s3:GetObject arn:aws:s3:::uploads/uploads/o/1",
        "api s3:DeleteObject arn:aws:s3:::uploads/uploads/o/1",
        "api s3:DeleteObjectVersion arn:aws:s3:::uploads/uploads/o/1",
        "api s3:ListBucket arn:aws:s3:::uploads",
        "api s3:ListBucketVersions arn:aws:s3:::uploads",
        "processor s3:GetObject arn:aws:s3:::media/o/media/o/1/manifest.json",
        "processor s3:PutObject arn:aws:s3:::media/o/media/o/1/manifest.json",
        "processor s3:DeleteObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "processor s3:DeleteObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.jpg",
        "processor s3:ListBucket arn:aws:s3:::media",
        "processor s3:GetObject arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:DeleteObject arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:DeleteObjectVersion arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:ListBucket arn:aws:s3:::uploads",
        "processor s3:ListBucketVersions arn:aws:s3:::uploads",
        "processor s3:PutObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "processor s3:PutObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.jpg",
        "processor s3:GetObjectVersion arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:PutObjectTagging arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:PutObjectVersionTagging arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:GetObjectTagging arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:GetObjectVersionTagging arn:aws:s3:::uploads/uploads/o/1",
        "processor sqs:ReceiveMessage arn:aws:sqs:eu-central-1:123456789012:uploads",
        "processor sqs:DeleteMessage arn:aws:sqs:eu-central-1:123456789012:uploads",
        "processor sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:uploads",
        "processor sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:uploads",
        "processor sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:outcomes",
        ] : asked if !anytrue([
          for statement in {
            processor = data.aws_iam_policy_document.processor.statement
            api       = data.aws_iam_policy_document.api.statement
            signer    = data.aws_iam_policy_document.signer.statement
            edge      = data.aws_iam_policy_document.edge[0].statement
            guardduty = data.aws_iam_policy_document.guardduty.statement
            sweep     = data.aws_iam_policy_document.sweep[0].statement
            }[split(" ", asked)[0]] : (
            coalesce(statement.effect, "Allow") == "Allow"
            && anytrue([for action in statement.actions : can(regex("^${replace(lower(action), "*", ".*")}$", lower(split(" ", asked)[1])))])
            && anytrue([for resource in statement.resources : can(regex("^${replace(resource, "*", ".*")}$", split(" ", asked)[2]))])
          )
      ])
    ] == []
    error_message = "A function lacks a permission that it needs."
  }
  assert {
    condition = [
      for asked in [
        "api s3:PutObject arn:aws:s3:::uploads/uploads/o/1",
        "api s3:PutObject arn:aws:s3:::media/o/claims/o/1",
        "api s3:GetObject arn:aws:s3:::media/o/claims/o/1",
        "api s3:DeleteObject arn:aws:s3:::media/o/claims/o/1",
        "api s3:DeleteObject arn:aws:s3:::media/o/media/o/1/another.json",
        "api s3:DeleteObject arn:aws:s3:::media/o/team/1.webp",
        "api s3:DeleteObjectVersion arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "api s3:ListBucketVersions arn:aws:s3:::media",
        "api s3:PutObjectTagging arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "processor s3:PutObject arn:aws:s3:::uploads/uploads/o/1",
        "processor s3:PutObjectTagging arn:aws:s3:::media/o/media/o/1/manifest.json",
        "processor s3:PutObject arn:aws:s3:::media/o/claims/o/1",
        "processor s3:GetObject arn:aws:s3:::media/o/claims/o/1",
        "processor s3:DeleteObject arn:aws:s3:::media/o/claims/o/1",
        "processor s3:DeleteObject arn:aws:s3:::media/o/media/o/1/another.json",
        "processor s3:DeleteObject arn:aws:s3:::media/o/team/1.webp",
        "processor s3:DeleteObjectVersion arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "processor s3:ListBucketVersions arn:aws:s3:::media",
        "processor s3:PutObjectTagging arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "api s3:PutObject arn:aws:s3:::media/o/media/o/1/0123456789abcdef-640.webp",
        "api s3:PutObjectTagging arn:aws:s3:::uploads/uploads/o/1",
        "processor sqs:SendMessage arn:aws:sqs:eu-central-1:123456789012:mocked",
        "processor sqs:ChangeMessageVisibility arn:aws:sqs:eu-central-1:123456789012:outcomes",
        ] : asked if anytrue([
          for statement in {
            processor = data.aws_iam_policy_document.processor.statement
            api       = data.aws_iam_policy_document.api.statement
            signer    = data.aws_iam_policy_document.signer.statement
            edge      = data.aws_iam_policy_document.edge[0].statement
            guardduty = data.aws_iam_policy_document.guardduty.statement
            sweep     = data.aws_iam_policy_document.sweep[0].statement
            }[split(" ", asked)[0]] : (
            coalesce(statement.effect, "Allow") == "Allow"
            && anytrue([for action in statement.actions : can(regex("^${replace(lower(action), "*", ".*")}$", lower(split(" ", asked)[1])))])
            && anytrue([for resource in statement.resources : can(regex("^${replace(resource, "*", ".*")}$", split(" ", asked)[2]))])
          )
      ])
    ] == []
    error_message = "A function has a permission that it does not need."
  }
  # A role that may tag tombstones can tag any manifest, which the lifecycle would then delete. So only the API may, and
  # no role may set another tag.
  assert {
    condition = alltrue(flatten([
      for document in [data.aws_iam_policy_document.processor, data.aws_iam_policy_document.api] : [
        for statement in document.statement : [for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"]
        == ["StringEquals s3:RequestObjectTag/gatepost deleted"]
        if contains(statement.actions, "s3:PutObjectTagging") && contains(statement.resources, "arn:aws:s3:::media/o/media/*/manifest.json")
      ]
    ]))
    error_message = "A manifest may get another tag than a tombstone's."
  }
  assert {
    condition = {
      api       = [jsondecode(aws_iam_role_policy.api.policy).Id, aws_iam_role_policy.api.role == aws_iam_role.api.id]
      processor = [jsondecode(aws_iam_role_policy.processor.policy).Id, aws_iam_role_policy.processor.role == aws_iam_role.processor.id]
      } == {
      api       = ["api", true]
      processor = ["processor", true]
    }
    error_message = "A role has another role's policy."
  }
  # A deleted photo leaves CloudFront's cache.
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.invalidation.statement :
      "${coalesce(statement.effect, "Allow")} ${join(",", statement.actions)} ${join(",", statement.resources)}"
    ] == ["Allow cloudfront:CreateInvalidation arn:aws:cloudfront::123456789012:distribution/E123"]
    error_message = "The API cannot invalidate paths of its distribution, or can do more at CloudFront."
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.invalidation.policy).Id == "invalidation" && aws_iam_role_policy.invalidation.role == aws_iam_role.api.id
    error_message = "Another role may invalidate."
  }
}

run "a_manifest_is_only_written_conditionally" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  # One statement with both conditions: two statements would each deny the other's requests.
  assert {
    condition = [
      for statement in data.aws_iam_policy_document.media.statement : {
        resources  = tolist(statement.resources)
        principals = [for principal in statement.principals : "${principal.type} ${join(",", principal.identifiers)}"]
        conditions = sort([for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"])
      } if coalesce(statement.effect, "Allow") == "Deny" && contains(statement.actions, "s3:PutObject")
      ] == [{
        resources  = tolist(["arn:aws:s3:::media/o/media/*/manifest.json"])
        principals = ["* *"]
        conditions = tolist(["Null s3:if-match true", "Null s3:if-none-match true"])
    }]
    error_message = "A manifest can be overwritten unconditionally, or cannot be written at all."
  }
  # The whole document. Others than the signer may read without a URL: the processor, the API and operators. Deletes are not
  # denied, because terraform destroy empties the bucket.
  assert {
    condition = {
      for statement in data.aws_iam_policy_document.media.statement : statement.sid => join(" ", concat(
        [coalesce(statement.effect, "Allow"), join(",", statement.actions)],
        [for principal in statement.principals : "${principal.type}=${join(",", principal.identifiers)}"],
        sort([for condition in statement.condition : "${condition.test}(${condition.variable})=${join(",", condition.values)}"]),
      ))
      } == {
      TlsOnly                = "Deny s3:* *=* Bool(aws:SecureTransport)=false"
      ManifestsConditionally = "Deny s3:PutObject *=* Null(s3:if-match)=true Null(s3:if-none-match)=true"
      SignerOnlyInUrls       = "Deny s3:GetObject AWS=arn:aws:iam::123456789012:role/signer StringNotEquals(s3:authType)=REST-QUERY-STRING"
      SignerNoOldSignatures  = "Deny s3:GetObject AWS=arn:aws:iam::123456789012:role/signer NumericGreaterThan(s3:signatureAge)=3000000"
      CloudFront             = "Allow s3:GetObject Service=cloudfront.amazonaws.com StringEquals(aws:SourceArn)=arn:aws:cloudfront::123456789012:distribution/E123"
      CloudFrontNotFound     = "Allow s3:ListBucket Service=cloudfront.amazonaws.com StringEquals(aws:SourceArn)=arn:aws:cloudfront::123456789012:distribution/E123"
    }
    error_message = "The media bucket's policy is another one."
  }
  assert {
    condition     = jsondecode(aws_s3_bucket_policy.media.policy).Id == "media" && aws_s3_bucket_policy.media.bucket == aws_s3_bucket.media.id
    error_message = "The media bucket has a different policy."
  }
}

run "only_tombstones_expire" {
  command = apply

  module {
    source = "./modules/gatepost"
  }

  assert {
    condition = {
      for rule in aws_s3_bucket_lifecycle_configuration.media.rule : rule.id => {
        status = rule.status
        days   = one(rule.expiration).days
        prefix = one(one(rule.filter).and).prefix
        tags   = one(one(rule.filter).and).tags
      } if try(one(rule.expiration).days > 0, false)
      } == {
      forget-tombstones = { status = "Enabled", days = 30, prefix = "o/media/", tags = tomap({ gatepost = "deleted" }) }
    }
    error_message = "Published objects expire, or tombstones do not."
  }
  # Four days in the queue, fourteen among the dead letters: a late event must still find the tombstone.
  assert {
    condition = one(one([
      for rule in aws_s3_bucket_lifecycle_configuration.media.rule : rule.expiration if rule.id == "forget-tombstones"
    ])).days * 24 * 60 * 60 > aws_sqs_queue.uploads.message_retention_seconds + aws_sqs_queue.dead.message_retention_seconds
    error_message = "A tombstone expires before the last event of its upload."
  }
  assert {
    condition = {
      for bucket, configuration in {
        media = aws_s3_bucket_lifecycle_configuration.media, uploads = aws_s3_bucket_lifecycle_configuration.uploads
        } : bucket => [
        for rule in configuration.rule : {
          status  = rule.status, days = one(rule.noncurrent_version_expiration).noncurrent_days,
          markers = one(rule.expiration).expired_object_delete_marker
        } if length(rule.noncurrent_version_expiration) == 1
      ]
      } == {
      media   = [{ status = "Enabled", days = 7, markers = true }]
      uploads = [{ status = "Enabled", days = 7, markers = true }]
    }
    error_message = jsonencode([aws_s3_bucket_lifecycle_configuration.media.rule, aws_s3_bucket_lifecycle_configuration.uploads.rule])
  }
}
