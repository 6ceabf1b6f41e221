// Signs upload forms with the AWS SDK for JavaScript for this many seconds; prints the nanoseconds per form.

import { S3Client } from '@aws-sdk/client-s3'
import { createPresignedPost } from '@aws-sdk/s3-presigned-post'

const seconds = Number(process.argv[2])
const client = new S3Client({
  region: 'eu-central-1',
  credentials: {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    sessionToken: 't'.repeat(400),
  },
})

const form = (n) =>
  createPresignedPost(client, {
    Bucket: 'example-uploads',
    Key: `uploads/mvbss32xiycek3hlzhe6yejbn4/${String(n).padStart(26, '0')}`,
    Fields: { 'Content-Type': 'image/jpeg', 'x-amz-meta-filename': 'beach.jpg' },
    Conditions: [['content-length-range', 1, 26214400]],
    Expires: 300,
  })

// It also sends the bucket.
if (Object.keys((await form(0)).fields).length !== 10) throw new Error('the form has other fields than its peers')
const started = process.hrtime.bigint()
const end = started + BigInt(seconds * 1e9)
let n = 0
while (process.hrtime.bigint() < end) {
  for (let i = 0; i < 20; i++) await form(++n)
}
console.log(Math.round(Number(process.hrtime.bigint() - started) / n))
