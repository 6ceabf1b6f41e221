// At viewer-request of /shared/*: CloudFront has verified the link's signature, which is over the whole path; the bucket
// knows the object without the first part of it. The header is part of the cache's key: what was fetched for its owner is
// kept for a day, and a link is to end with what it shows.

function handler(event) {
  var request = event.request
  // The bucket's root would be a listing.
  if (request.uri === '/shared/') return { statusCode: 404, statusDescription: 'Not Found' }
  request.uri = request.uri.replace(/^\/shared\//, '/')
  request.headers['x-gatepost-shared'] = { value: 'yes' }
  return request
}
