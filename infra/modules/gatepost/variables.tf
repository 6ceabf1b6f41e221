variable "name" {
  description = "The prefix of every resource's name. Bucket names are globally unique, so the account ID is appended."
  type        = string
  default     = "gatepost"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 25 lower-case letters, digits and hyphens, begin with a letter, and not end with a hyphen."
  }
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

  validation {
    condition     = alltrue([for origin in var.origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "Each of origins must be https:// and a host, without a path. Wildcards are refused, because every site could then post."
  }
}

variable "domain" {
  description = "Your own domain name for the distribution, with its certificate in us-east-1. Point the name to the output distribution_domain."
  type = object({
    name            = string
    certificate_arn = string
  })
  default = null

  validation {
    condition     = var.domain == null || can(regex("^arn:[a-z-]+:acm:us-east-1:", var.domain.certificate_arn))
    error_message = "domain.certificate_arn must be the ARN of a certificate in us-east-1: CloudFront accepts no other."
  }
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

  # As in the API: byte order marks, quotation marks and indents are ignored, and line breaks may be \n.
  validation {
    condition     = var.link_keys == null || can(regex("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END PUBLIC KEY-----", var.link_keys.public))
    error_message = "link_keys.public must be a complete public key in PEM, from its BEGIN line to its END line, in UTF-8."
  }
  validation {
    condition     = var.link_keys == null || try((var.link_keys.private == null) != (var.link_keys.private_secret_arn == null), false)
    error_message = "link_keys must have either private (the private half) or private_secret_arn (its secret), not both."
  }
  validation {
    condition = var.link_keys == null || try(var.link_keys.private == null, false) || try(
      length(regexall("-----BEGIN ((RSA|EC) )?PRIVATE KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END ((RSA|EC) )?PRIVATE KEY-----", var.link_keys.private)) > 0 && !strcontains(var.link_keys.private, "ENCRYPTED"),
      false,
    )
    error_message = "link_keys.private must be the complete private key of link_keys.public in PEM, from its BEGIN line to its END line, in UTF-8 and not encrypted."
  }
  validation {
    condition = var.link_keys == null || try(
      (var.link_keys.private_secret_arn == null || can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]+:secret:|ssm:[a-z0-9-]+:[0-9]+:parameter/)[^*?]+$", var.link_keys.private_secret_arn)))
      && (var.link_keys.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]+:key/[^*?]+$", var.link_keys.kms_key_arn))),
      false,
    )
    error_message = "link_keys.private_secret_arn must be the ARN of a Secrets Manager secret or of an SSM parameter, and kms_key_arn the ARN of a KMS key, complete and without wildcards."
  }
  validation {
    condition = var.link_keys == null || try(alltrue([
      for pem in concat(var.link_keys.next[*], var.link_keys.former) : can(regex("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]|\\\\+[nr])+-----END PUBLIC KEY-----", pem))
    ]), false)
    error_message = "link_keys.next and each of link_keys.former must be complete public keys in PEM. Private halves are not accepted."
  }
  # CloudFront's quota for a key group.
  validation {
    condition     = var.link_keys == null || try(length(concat(var.link_keys.next[*], var.link_keys.former)) <= 4, false)
    error_message = "link_keys has more than five public keys. Remove those of link_keys.former whose links have expired."
  }
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

  validation {
    condition     = var.session_key == null || try((var.session_key.private == null) != (var.session_key.private_secret_arn == null), false)
    error_message = "session_key must have either private (the private half) or private_secret_arn (its secret), not both."
  }
  validation {
    condition     = var.session_key == null || try(var.session_key.private == null || can(regex("-----BEGIN (EC )?PRIVATE KEY-----", var.session_key.private)), false)
    error_message = "session_key.private must be a private key in PEM, ECDSA on P-256 and not encrypted."
  }
  validation {
    condition = var.session_key == null || try(
      (var.session_key.private_secret_arn == null || can(regex("^arn:[a-z-]+:(secretsmanager:[a-z0-9-]+:[0-9]+:secret:|ssm:[a-z0-9-]+:[0-9]+:parameter/)[^*?]+$", var.session_key.private_secret_arn)))
      && (var.session_key.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]+:key/[^*?]+$", var.session_key.kms_key_arn))),
      false,
    )
    error_message = "session_key.private_secret_arn must be the ARN of a Secrets Manager secret or of an SSM parameter, and kms_key_arn the ARN of a KMS key, complete and without wildcards."
  }
}

variable "price_class" {
  description = "The edge locations that CloudFront uses: PriceClass_100, PriceClass_200 or PriceClass_All."
  type        = string
  default     = "PriceClass_100"

  validation {
    condition     = contains(["PriceClass_100", "PriceClass_200", "PriceClass_All"], var.price_class)
    error_message = "price_class must be PriceClass_100, PriceClass_200 or PriceClass_All."
  }
}

variable "processor" {
  description = "The upload processor: memory in MB (1769 gives one vCPU), timeout of a batch in seconds, and maximum concurrency."
  type = object({
    memory_mb       = optional(number, 1769)
    timeout_seconds = optional(number, 60)
    concurrency     = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.processor.memory_mb >= 1024 && var.processor.memory_mb <= 10240
    error_message = "processor.memory_mb must be from 1024 to 10240. A photo of 12 megapixels takes 40 MB, the largest of 50 up to 830, and an upload that does not fit is rejected (too_complex)."
  }
  validation {
    condition     = var.processor.timeout_seconds >= 45 && var.processor.timeout_seconds <= 300
    error_message = "processor.timeout_seconds must be from 45 to 300. An image has 30 seconds and must be rejected in time. If the function is killed, the queue waits six times the timeout before the next try."
  }
  validation {
    condition     = var.processor.concurrency >= 2 && var.processor.concurrency <= 1000
    error_message = "processor.concurrency must be from 2 to 1000, Lambda's limits."
  }
}

variable "rejected_retention_days" {
  description = "The number of days that rejected originals are kept. null keeps them until they are deleted through the API."
  type        = number
  default     = 30

  validation {
    condition     = var.rejected_retention_days == null || try(var.rejected_retention_days >= 1, false)
    error_message = "rejected_retention_days must be at least 1, or null."
  }
}

variable "upload_retention_days" {
  description = "The number of days that all originals are kept. null keeps them until they are deleted through the API. Renditions are not affected."
  type        = number
  default     = null

  # Four days in the queue, fourteen among the dead letters.
  validation {
    condition     = var.upload_retention_days == null || try(var.upload_retention_days >= 19, false)
    error_message = "upload_retention_days must be at least 19, or null: an upload may wait 18 days for its processing, the last of them among the dead letters."
  }
}

variable "log_retention_days" {
  description = "The number of days that logs are kept."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a value that CloudWatch Logs supports: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and more."
  }
}

variable "alarm_topic_arn" {
  description = "The SNS topics that alarms are sent to. With null alarms are only in the console. Alarms of the edge need a topic in us-east-1."
  type = object({
    region    = optional(string)
    us_east_1 = optional(string)
  })
  default = {}

  validation {
    condition     = var.alarm_topic_arn.region == null || can(regex("^arn:[a-z-]+:sns:", var.alarm_topic_arn.region))
    error_message = "alarm_topic_arn.region must be the ARN of an SNS topic in the stack's region: alarms reach no other."
  }
  validation {
    condition     = var.alarm_topic_arn.us_east_1 == null || can(regex("^arn:[a-z-]+:sns:us-east-1:", var.alarm_topic_arn.us_east_1))
    error_message = "alarm_topic_arn.us_east_1 must be the ARN of an SNS topic in us-east-1: CloudFront's alarms reach no other."
  }
}

variable "rate_limit" {
  description = "The number of requests that an address may make in five minutes before WAF refuses it. null omits WAF, which costs extra."
  type        = number
  default     = null

  validation {
    condition     = var.rate_limit == null || try(var.rate_limit >= 10 && var.rate_limit <= 2000000000, false)
    error_message = "rate_limit must be at least 10, WAF's minimum."
  }
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

  validation {
    condition     = var.sweep == null || can(regex("^(rate\\([1-9][0-9]* (minute|hour|day)s?\\)|cron\\([^()]+\\))$", var.sweep.schedule))
    error_message = "sweep.schedule must be a repeating expression of EventBridge Scheduler, such as rate(1 hour) or cron(0 3 * * ? *)."
  }
  # Otherwise the processor would refuse it at each sweep. coalesce refuses an empty one.
  validation {
    condition     = var.sweep == null || can(regex("^([1-9][0-9]*h)?([1-9][0-9]*m)?([1-9][0-9]*s)?$", coalesce(var.sweep.since, "")))
    error_message = "sweep.since must be a duration in hours, minutes and seconds, such as 3h or 2h30m."
  }
  # Compares both in seconds, plus the hour for which uploads are left to the queue. The validations above refuse unreadable values. The interval of a cron(…) is unknown here.
  validation {
    condition = var.sweep == null || try(
      sum([for part in regexall("([0-9]+)([hms])", var.sweep.since) : part[0] * { h = 3600, m = 60, s = 1 }[part[1]]])
      > 3600 + one([for part in regexall("rate\\(([0-9]+) (minute|hour|day)", var.sweep.schedule) : part[0] * { minute = 60, hour = 3600, day = 86400 }[part[1]]]),
      true,
    )
    error_message = "sweep.since must be longer than one hour plus the time between two sweeps. Otherwise some uploads would never be found."
  }
}

variable "edge_runtime" {
  description = "The runtime of the function at the edge: nodejs22.x, which AWS deprecates on 2027-04-30, or nodejs24.x, which the provider supports from version 6 on."
  type        = string
  default     = "nodejs22.x"

  validation {
    condition     = can(regex("^nodejs[0-9]+\\.x$", var.edge_runtime))
    error_message = "edge_runtime must be nodejs22.x or nodejs24.x."
  }
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

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[^*?]+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of an IAM policy."
  }
}

variable "web_acl_arn" {
  description = "The ARN of your own WAF web ACL for CloudFront. It replaces the one of rate_limit. Its rules must let through cookies and bodies of the API's calls, and on /upload bodies of any size if uploads go through the distribution."
  type        = string
  default     = null

  validation {
    condition     = var.web_acl_arn == null || can(regex("^arn:[a-z-]+:wafv2:us-east-1:[0-9]{12}:global/webacl/[^*?]+$", var.web_acl_arn))
    error_message = "web_acl_arn must be the ARN of a WAFv2 web ACL of scope CLOUDFRONT, which is in us-east-1."
  }
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

  validation {
    condition     = var.access_logs == null || can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]+(/[^*?]*[^/*?])?$", var.access_logs.bucket_arn))
    error_message = "access_logs.bucket_arn must be the ARN of a bucket, with or without a folder, without a final slash."
  }
  validation {
    condition     = var.access_logs == null || try(length(setintersection(var.access_logs.fields, ["cs-uri-query", "cs(Cookie)", "cs(Referer)"])) == 0, false)
    error_message = "access_logs.fields must not contain cs-uri-query, cs(Cookie) or cs(Referer): they hold signatures and sessions, with which readers of the logs could open pictures."
  }
}

variable "origin_shield" {
  description = "The Region of CloudFront's origin shield in front of the media bucket, near the bucket. It saves reads of the bucket if viewers are on several continents, and costs per request. null omits it."
  type        = string
  default     = null

  validation {
    condition     = var.origin_shield == null || can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.origin_shield))
    error_message = "origin_shield must be the name of an AWS region that has an origin shield, such as eu-central-1."
  }
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

  validation {
    condition     = var.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key, complete: an alias is not enough for the roles' permissions."
  }
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

  validation {
    condition     = alltrue([for arn in var.session_store_readers : !strcontains(arn, ":assumed-role/")])
    error_message = "session_store_readers contains a role's session (assumed-role). The policy compares aws:PrincipalArn, which is the role's own ARN in every session. Use arn:aws:iam::<account>:role/<name>, with the role's path."
  }
  validation {
    condition     = alltrue([for arn in var.session_store_readers : can(regex("^arn:[a-z-]+:(iam::[0-9]{12}:(role/.+|user/.+|root)|sts::[0-9]{12}:(federated-user|assumed-role)/.+)$", arn))])
    error_message = "Each of session_store_readers must be the ARN of a role or a user with its account, such as arn:aws:iam::123456789012:role/operators."
  }
}

variable "tags" {
  description = "Tags for every resource that supports tags."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(var.tags) <= 9
    error_message = "tags must be at most 9: an S3 object has at most 10, and Gatepost uses one."
  }
}
