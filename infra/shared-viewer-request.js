// At viewer-request of /shared/*: CloudFront has verified the link's signature, which is over the whole path; the bucket
// knows the object without the first part of it.

function handler(event) {
  var request = event.request
  request.uri = request.uri.replace(/^\/shared\//, '/')
  return request
}
