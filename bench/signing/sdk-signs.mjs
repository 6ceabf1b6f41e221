// Signs test cases with the AWS SDK for JavaScript: cases in JSON on stdin, results on stdout.

import { S3Client } from '@aws-sdk/client-s3'
import { getSignedCookies, getSignedUrl } from '@aws-sdk/cloudfront-signer'
import { createPresignedPost } from '@aws-sdk/s3-presigned-post'

let now = 0
Date.now = () => now

async function post(one) {
  const client = new S3Client({
    region: one.region,
    credentials: {
      accessKeyId: one.access_key_id,
      secretAccessKey: one.secret_access_key,
      sessionToken: one.session_token ?? undefined,
    },
  })
  return createPresignedPost(client, {
    Bucket: one.bucket,
    Key: one.key,
    Fields: one.fields,
    Conditions: one.conditions,
    Expires: one.expires_in,
  })
}

function cloudfront(one) {
  const what = { keyPairId: one.key_pair_id, privateKey: one.private_key, algorithm: 'SHA256' }
  const time = (second) => (second === null ? undefined : new Date(second * 1000).toISOString())
  const terms = one.policy
    ? { policy: one.policy }
    : {
        dateLessThan: time(one.expires_at),
        dateGreaterThan: time(one.not_before),
        ipAddress: one.addresses ?? undefined,
      }
  return {
    url: getSignedUrl({ ...what, ...terms, url: one.url }),
    cookies: getSignedCookies({ ...what, ...terms, url: one.url }),
  }
}

const cases = JSON.parse(await new Response(process.stdin).text())
const made = []
for (const one of cases) {
  now = one.now * 1000
  made.push(one.kind === 'cloudfront' ? cloudfront(one) : await post(one))
}
process.stdout.write(JSON.stringify(made))
