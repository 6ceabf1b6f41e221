# The module's variables, without their validations, and the region. A test compares descriptions, types and defaults.

variable "region" {
  description = "The region of the buckets, the queues and the functions. Resources of the edge are created in us-east-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-central-1."
  }
}

variable "name" {
  description = "The prefix of every resource's name. Bucket names are globally unique, so the account ID is appended."
  type        = string
  default     = "gatepost"
}

variable "dist" {
  description = "The folder that `gatepost package` wrote, with manifest.json in it."
  type        = string
  default     = "../dist"
}

variable "origins" {
  description = "Sites besides the distribution's own and those of [cors] whose pages may call the API, and post to the upload bucket unless uploads go through the distribution, such as https://app.example.com."
  type        = list(string)
  default     = []
}

variable "domain" {
  description = "Your own domain name for the distribution, with its certificate in us-east-1. Point the name to the output distribution_domain."
  type = object({
    name            = string
    certificate_arn = string
  })
  default = null
}

variable "link_keys" {
  description = "The key that signs links for CloudFront, and in mode signed the cookies: its two halves in PEM, RSA of 2048 bits or ECDSA on P-256. With null the bucket signs links; mode signed needs the key. private_secret_arn replaces private: a Secrets Manager secret or an SSM parameter with the private half, so that neither the state nor the function's environment has it. kms_key_arn: your own KMS key, if it encrypts that secret. next: the public half of the next key; one apply gives it to CloudFront before a later one signs with it. former: the public halves of previous keys, while their links last."
  type = object({
    public             = string
    private            = optional(string)
    private_secret_arn = optional(string)
    kms_key_arn        = optional(string)
    next               = optional(string)
    former             = optional(list(string), [])
  })
  default   = null
  sensitive = true
}

variable "session_key" {
  description = "The private halves of [session] keys that are packed with their public half only. private: one or several in PEM. private_secret_arn: a Secrets Manager secret or an SSM parameter with them, so that neither the state nor the function's environment has them. kms_key_arn: your own KMS key, if it encrypts that secret. Use null if the package contains the private halves, or without sessions."
  type = object({
    private            = optional(string)
    private_secret_arn = optional(string)
    kms_key_arn        = optional(string)
  })
  default   = null
  sensitive = true
}

variable "price_class" {
  description = "The edge locations that CloudFront uses: PriceClass_100, PriceClass_200 or PriceClass_All."
  type        = string
  default     = "PriceClass_100"
}

variable "processor" {
  description = "The upload processor: memory in MB (1769 gives one vCPU), timeout of a batch in seconds, and maximum concurrency."
  type = object({
    memory_mb       = optional(number, 1769)
    timeout_seconds = optional(number, 60)
    concurrency     = optional(number, 10)
  })
  default = {}
}

variable "rejected_retention_days" {
  description = "The number of days that rejected originals are kept. null keeps them until they are deleted through the API."
  type        = number
  default     = 30
}

variable "upload_retention_days" {
  description = "The number of days that all originals are kept. null keeps them until they are deleted through the API. Renditions are not affected."
  type        = number
  default     = null
}

variable "log_retention_days" {
  description = "The number of days that logs are kept."
  type        = number
  default     = 30
}

variable "alarm_topic_arn" {
  description = "The SNS topics that alarms are sent to. With null alarms are only in the console. Alarms of the edge need a topic in us-east-1."
  type = object({
    region    = optional(string)
    us_east_1 = optional(string)
  })
  default = {}
}

variable "rate_limit" {
  description = "The number of requests that an address may make in five minutes before WAF refuses it. null omits WAF, which costs extra."
  type        = number
  default     = null
}

variable "malware_protection" {
  description = "Let GuardDuty scan every upload before it is processed. The scan costs extra, per object and gigabyte, and takes some seconds."
  type        = bool
  default     = false
}

variable "sweep" {
  description = "The sweep finds uploads that were not processed, sends them to the queue, and completes interrupted deletions. schedule: rate(…) or cron(…), in UTC. since: how far back, such as 3h. {} means every hour, three hours back. null disables it."
  type = object({
    schedule = optional(string, "rate(1 hour)")
    since    = optional(string, "3h")
  })
  default = {}
}

variable "edge_runtime" {
  description = "The runtime of the function at the edge: nodejs22.x, which AWS deprecates on 2027-04-30, or nodejs24.x, which the provider supports from version 6 on."
  type        = string
  default     = "nodejs22.x"
}

variable "keep_edge_function" {
  description = "Keep the function at the edge on destroy. AWS deletes its replicas hours after the distribution is gone, and refuses to delete the function before that. false makes destroy wait, for up to three hours."
  type        = bool
  default     = true
}

variable "delete_data_on_destroy" {
  description = "Let `terraform destroy` delete buckets that are not empty. It must be applied before the destroy. Otherwise a destroy looks into the buckets with the AWS CLI first, and stops if they are not empty or cannot be read."
  type        = bool
  default     = false
}

variable "permissions_boundary" {
  description = "The ARN of a policy that limits what the stack's roles may do, if your organization requires one for every role. It must allow what the roles do; null omits it."
  type        = string
  default     = null
}

variable "web_acl_arn" {
  description = "The ARN of your own WAF web ACL for CloudFront. It replaces the one of rate_limit. Its rules must let through cookies and bodies of the API's calls, and on /upload bodies of any size if uploads go through the distribution."
  type        = string
  default     = null
}

variable "access_logs" {
  description = "CloudFront's access logs, in a bucket of your own. bucket_arn: its ARN, with a folder if you like: arn:aws:s3:::my-logs/gatepost. fields: the fields of a line. By default they are those that contain no credentials: query strings have signatures in them, cookies sessions. null omits the logs."
  type = object({
    bucket_arn = string
    fields = optional(list(string), [
      "timestamp(ms)", "c-ip", "cs-method", "x-host-header", "cs-uri-stem", "cs-protocol-version", "sc-status", "sc-bytes",
      "time-taken", "time-to-first-byte", "x-edge-location", "x-edge-request-id", "x-edge-result-type",
      "x-edge-detailed-result-type", "ssl-protocol", "cs(User-Agent)",
    ])
  })
  default = null
}

variable "origin_shield" {
  description = "The Region of CloudFront's origin shield in front of the media bucket, near the bucket. It saves reads of the bucket if viewers are on several continents, and costs per request. null omits it."
  type        = string
  default     = null
}

variable "http3" {
  description = "Serve HTTP/3 as well. false for CloudFront's continuous deployment, which does not support it."
  type        = bool
  default     = true
}

variable "kms_key_arn" {
  description = "The ARN of your own KMS key for buckets, queues and logs, in the region of the stack. Its policy must let S3, CloudFront, CloudWatch Logs and, with malware_protection, EventBridge use it: see docs/deploying.md. null uses the keys of the services, which cost nothing."
  type        = string
  default     = null
}

variable "session_store" {
  description = "Create the store and the secret of sessions' secrets in other modes than function, too. Then session-key push comes before the switch to function, which interrupts nothing. They stay when the stack leaves the mode."
  type        = bool
  default     = false
}

variable "session_store_readers" {
  description = "In mode function: the ARNs of the roles and users that may read and write the store of sessions' secrets, for the policy in the output session_store_readers_denied. A role's ARN includes all of its sessions. * matches any characters."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags for every resource that supports tags."
  type        = map(string)
  default     = {}
}
