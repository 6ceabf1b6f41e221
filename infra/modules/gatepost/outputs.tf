output "url" {
  description = "The address of the page."
  value       = "https://${var.domain == null ? aws_cloudfront_distribution.this.domain_name : var.domain.name}/"
}

output "distribution_domain" {
  description = "Point your own name here: an alias record, or a CNAME."
  value       = aws_cloudfront_distribution.this.domain_name
}

output "distribution_id" {
  description = "For invalidations and CloudFront's metrics."
  value       = aws_cloudfront_distribution.this.id
}

output "upload_bucket" {
  description = "The bucket that forms post to. To sign a form by hand: gatepost sign post --bucket …"
  value       = aws_s3_bucket.uploads.id
}

output "media_bucket" {
  description = "The bucket of renditions and manifests."
  value       = aws_s3_bucket.media.id
}

output "web_bucket" {
  description = "The bucket of the page, which you may replace with your own."
  value       = aws_s3_bucket.web.id
}

output "edge_function_name" {
  description = "The name of the Lambda function at the edge, in us-east-1; null in other modes than lambda. keep_edge_function keeps it on destroy: delete it the next day."
  value       = one(aws_lambda_function.edge[*].function_name)
}

output "session_store_arn" {
  description = "The KeyValueStore of the sessions' secrets, in mode function or with session_store. To write them: gatepost session-key push --store …"
  value       = one(aws_cloudfront_key_value_store.sessions[*].arn)
}

output "session_secret_arn" {
  description = "The API's secret with the same secrets, in mode function or with session_store: gatepost session-key push --secret …"
  value       = one(aws_secretsmanager_secret.sessions[*].arn)
}

output "session_store_readers_denied" {
  description = "A policy for the other roles and users of the account, in mode function or with session_store: it denies access to the store of sessions' secrets, which AWS's managed CloudFrontReadOnlyAccess grants. A reader of the store can be anybody."
  value       = one(data.aws_iam_policy_document.session_store_readers_denied[*].json)
}

output "link_key_ids" {
  description = "The IDs of the public keys whose signatures CloudFront accepts: of links below /shared/, and in mode signed of cookies for the rules' paths."
  value       = [for key in aws_cloudfront_public_key.links : key.id]
}

output "outcomes_queue_url" {
  description = "The queue of the uploads' outcomes."
  value       = aws_sqs_queue.outcomes.url
}

output "upload_queue_url" {
  description = "The processor's queue. To send uploads without a manifest to it: gatepost sweep --queue-url …"
  value       = aws_sqs_queue.uploads.url
}

output "dead_letter_queue_url" {
  description = "Uploads that failed nine times. Reasons: gatepost dlq list --queue-url …; to send them back when the cause is fixed: gatepost dlq redrive."
  value       = aws_sqs_queue.dead.url
}

output "config_sha256" {
  description = "The digest of the deployed configuration, from dist/manifest.json."
  value       = terraform_data.package.output
}
