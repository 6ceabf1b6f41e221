# Refuses a destroy while the buckets hold photos. Without it a destroy would delete distribution, functions and queues,
# and fail at the buckets last. Terraform evaluates no precondition in a destroy, and a provisioner that fails stops it.
# This resource depends on every other one, so it is destroyed before all of them. A test compares the list.
#
# The provisioner is not run if the call of this module is removed from the configuration. S3 still deletes no bucket
# that is not empty.

resource "terraform_data" "guard" {
  # In the state, because a provisioner of a destroy knows nothing else.
  input = {
    script      = file("${path.module}/guard.sh")
    buckets     = "${aws_s3_bucket.media.id} ${aws_s3_bucket.uploads.id}"
    region      = local.region
    delete_data = tostring(var.delete_data_on_destroy)
  }

  provisioner "local-exec" {
    when        = destroy
    interpreter = ["sh", "-c"]
    # An error prints the command.
    command = "eval \"$GUARD\""

    environment = {
      GUARD       = self.output.script
      BUCKETS     = self.output.buckets
      REGION      = self.output.region
      DELETE_DATA = self.output.delete_data
    }
  }

  depends_on = [
    aws_cloudfront_cache_policy.gated,
    aws_cloudfront_cache_policy.links,
    aws_cloudfront_cache_policy.media,
    aws_cloudfront_cache_policy.origin_decides,
    aws_cloudfront_cache_policy.presigned,
    aws_cloudfront_distribution.this,
    aws_cloudfront_function.api,
    aws_cloudfront_function.gate,
    aws_cloudfront_function.presigned,
    aws_cloudfront_function.refusal,
    aws_cloudfront_function.shared,
    aws_cloudfront_function.upload,
    aws_cloudfront_key_group.links,
    aws_cloudfront_key_value_store.sessions,
    aws_cloudfront_origin_access_control.api,
    aws_cloudfront_origin_access_control.s3,
    aws_cloudfront_origin_request_policy.forms,
    aws_cloudfront_public_key.links,
    aws_cloudfront_response_headers_policy.page,
    aws_cloudfront_response_headers_policy.served,
    aws_cloudwatch_dashboard.this,
    aws_cloudwatch_event_rule.scanned,
    aws_cloudwatch_event_target.scanned,
    aws_cloudwatch_log_delivery.access,
    aws_cloudwatch_log_delivery_destination.access,
    aws_cloudwatch_log_delivery_source.access,
    aws_cloudwatch_log_group.api,
    aws_cloudwatch_log_group.edge,
    aws_cloudwatch_log_group.processor,
    aws_cloudwatch_metric_alarm.api_5xx,
    aws_cloudwatch_metric_alarm.api_latency,
    aws_cloudwatch_metric_alarm.dead_letters,
    aws_cloudwatch_metric_alarm.duration,
    aws_cloudwatch_metric_alarm.edge_errors,
    aws_cloudwatch_metric_alarm.edge_refusals,
    aws_cloudwatch_metric_alarm.errors,
    aws_cloudwatch_metric_alarm.gate_reads,
    aws_cloudwatch_metric_alarm.gate_utilization,
    aws_cloudwatch_metric_alarm.queue_age,
    aws_cloudwatch_metric_alarm.sweep_dropped,
    aws_cloudwatch_metric_alarm.throttles,
    aws_cloudwatch_metric_alarm.viewer_functions,
    aws_guardduty_malware_protection_plan.uploads,
    aws_iam_role.api,
    aws_iam_role.edge,
    aws_iam_role.guardduty,
    aws_iam_role.processor,
    aws_iam_role.signer,
    aws_iam_role.sweep,
    aws_iam_role_policy.api,
    aws_iam_role_policy.edge,
    aws_iam_role_policy.guardduty,
    aws_iam_role_policy.invalidation,
    aws_iam_role_policy.processor,
    aws_iam_role_policy.signer,
    aws_iam_role_policy.sweep,
    aws_lambda_event_source_mapping.uploads,
    aws_lambda_function.api,
    aws_lambda_function.edge,
    aws_lambda_function.processor,
    aws_lambda_function_url.api,
    aws_lambda_permission.api,
    aws_lambda_permission.api_url,
    aws_s3_bucket.media,
    aws_s3_bucket.uploads,
    aws_s3_bucket.web,
    aws_s3_bucket_cors_configuration.uploads,
    aws_s3_bucket_lifecycle_configuration.media,
    aws_s3_bucket_lifecycle_configuration.uploads,
    aws_s3_bucket_notification.uploads,
    aws_s3_bucket_ownership_controls.media,
    aws_s3_bucket_ownership_controls.uploads,
    aws_s3_bucket_ownership_controls.web,
    aws_s3_bucket_policy.media,
    aws_s3_bucket_policy.uploads,
    aws_s3_bucket_policy.web,
    aws_s3_bucket_public_access_block.media,
    aws_s3_bucket_public_access_block.uploads,
    aws_s3_bucket_public_access_block.web,
    aws_s3_bucket_server_side_encryption_configuration.media,
    aws_s3_bucket_server_side_encryption_configuration.uploads,
    aws_s3_bucket_server_side_encryption_configuration.web,
    aws_s3_bucket_versioning.media,
    aws_s3_object.web,
    aws_scheduler_schedule.sweep,
    aws_scheduler_schedule_group.sweep,
    aws_secretsmanager_secret.sessions,
    aws_sqs_queue.dead,
    aws_sqs_queue.outcomes,
    aws_sqs_queue.uploads,
    aws_sqs_queue_policy.dead,
    aws_sqs_queue_policy.outcomes,
    aws_sqs_queue_policy.uploads,
    aws_sqs_queue_redrive_allow_policy.dead,
    aws_wafv2_web_acl.this,
    terraform_data.edge,
    terraform_data.package,
  ]
}
