# The module's outputs. A test compares names and descriptions.

output "url" {
  description = "The address of the page."
  value       = module.gatepost.url
}

output "distribution_domain" {
  description = "Point your own name here: an alias record, or a CNAME."
  value       = module.gatepost.distribution_domain
}

output "distribution_id" {
  description = "For invalidations and CloudFront's metrics."
  value       = module.gatepost.distribution_id
}

output "upload_bucket" {
  description = "The bucket that forms post to. To sign a form by hand: gatepost sign post --bucket …"
  value       = module.gatepost.upload_bucket
}

output "media_bucket" {
  description = "The bucket of renditions and manifests."
  value       = module.gatepost.media_bucket
}

output "web_bucket" {
  description = "The bucket of the page, which you may replace with your own."
  value       = module.gatepost.web_bucket
}

output "edge_function_name" {
  description = "The name of the Lambda function at the edge, in us-east-1; null in other modes than lambda. keep_edge_function keeps it on destroy: delete it the next day."
  value       = module.gatepost.edge_function_name
}

output "session_store_arn" {
  description = "The KeyValueStore of the sessions' secrets, in mode function or with session_store. To write them: gatepost session-key push --store …"
  value       = module.gatepost.session_store_arn
}

output "session_secret_arn" {
  description = "The API's secret with the same secrets, in mode function or with session_store: gatepost session-key push --secret …"
  value       = module.gatepost.session_secret_arn
}

output "session_store_readers_denied" {
  description = "A policy for the other roles and users of the account, in mode function or with session_store: it denies access to the store of sessions' secrets, which AWS's managed CloudFrontReadOnlyAccess grants. A reader of the store can be anybody."
  value       = module.gatepost.session_store_readers_denied
}

output "link_key_ids" {
  description = "The IDs of the public keys whose signatures CloudFront accepts: of links below /shared/, and in mode signed of cookies for the rules' paths."
  value       = module.gatepost.link_key_ids
}

output "outcomes_queue_url" {
  description = "The queue of the uploads' outcomes."
  value       = module.gatepost.outcomes_queue_url
}

output "upload_queue_url" {
  description = "The processor's queue. To send uploads without a manifest to it: gatepost sweep --queue-url …"
  value       = module.gatepost.upload_queue_url
}

output "dead_letter_queue_url" {
  description = "Uploads that failed nine times. Reasons: gatepost dlq list --queue-url …; to send them back when the cause is fixed: gatepost dlq redrive."
  value       = module.gatepost.dead_letter_queue_url
}

output "config_sha256" {
  description = "The digest of the deployed configuration, from dist/manifest.json."
  value       = module.gatepost.config_sha256
}
