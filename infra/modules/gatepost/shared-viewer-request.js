// At viewer-request of /shared/*: CloudFront has verified the link's signature over the whole path. The object's path in
// the bucket has no /shared, so it is removed. Terraform fills in what replaces it: the prefix of keys if the origin has
// no path (mode "function"), otherwise nothing. The header is part of the cache key: objects fetched for their owner are
// cached for a day, but a link must end soon after its object is deleted.

function handler(event) {
  var request = event.request
  // The bucket's root would return a listing.
  if (request.uri === '/shared/') return { statusCode: 404, statusDescription: 'Not Found' }
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's template
  request.uri = request.uri.replace(/^\/shared\//, '${prefix}/')
  request.headers['x-gatepost-shared'] = { value: 'yes' }
  return request
}
