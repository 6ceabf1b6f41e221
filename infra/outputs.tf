output "url" {
  description = "Open this."
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
  description = "Where forms post to. To try one by hand: gatepost sign post --bucket …"
  value       = aws_s3_bucket.uploads.id
}

output "media_bucket" {
  description = "Where renditions and manifests lie."
  value       = aws_s3_bucket.media.id
}

output "web_bucket" {
  description = "Where the page lies; a page of your own may take its place."
  value       = aws_s3_bucket.web.id
}

output "link_key_ids" {
  description = "Of the public keys whose signatures CloudFront takes below /shared/."
  value       = [for key in aws_cloudfront_public_key.links : key.id]
}

output "outcomes_queue_url" {
  description = "Read this to hear what became of uploads."
  value       = aws_sqs_queue.outcomes.url
}

output "upload_queue_url" {
  description = "The processor's queue. To send uploads without a manifest to it: gatepost sweep --queue-url …"
  value       = aws_sqs_queue.uploads.url
}

output "dead_letter_queue_url" {
  description = "What failed nine times. Why, and the way back: gatepost dlq list --queue-url …, and gatepost dlq redrive when the cause is mended."
  value       = aws_sqs_queue.dead.url
}

output "config_sha256" {
  description = "Of the configuration that is deployed; it is that of dist/manifest.json."
  value       = terraform_data.package.output
}
