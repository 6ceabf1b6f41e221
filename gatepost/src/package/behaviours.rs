//! Which paths CloudFront asks the authorizer about: those of the rules, in its own patterns.

use anyhow::ensure;

/// CloudFront's quota is 75 of a distribution; 25 in older accounts. One is the API's, one that of shared links.
const MAX_BEHAVIOURS: usize = 23;

/// What CloudFront is told that the rules are about: the part of each path that no request chooses, and all below it.
/// The page's files are named without their first slash.
///
/// A pattern that is too narrow opens nothing: whatever it leaves out goes to another bucket.
pub(super) fn behaviours(config: &edge_auth::Config, page: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut patterns: Vec<String> = Vec::new();
    for rule in &config.rules {
        let is_fixed = |segment: &&str| !segment.contains(['*', '{']);
        let segments: Vec<&str> = rule.path.split('/').collect();
        let fixed: Vec<&str> = segments.iter().copied().take_while(is_fixed).collect();
        let pattern = if fixed.len() == segments.len() {
            rule.path.clone()
        } else {
            format!("{}/*", fixed.join("/"))
        };
        ensure!(
            pattern.bytes().all(|byte| byte.is_ascii_graphic()),
            "the rule about {} begins with what CloudFront's path patterns cannot say; put US-ASCII before the first variable",
            rule.path
        );
        ensure!(
            pattern != "/" && !is_taken(&pattern, page),
            "the rule about {} is about the page's, the API's or shared links' paths as well; give what it is about another folder, such as /media",
            rule.path
        );
        if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    ensure!(
        patterns.len() <= MAX_BEHAVIOURS,
        "the rules are about {} folders, and a distribution has {MAX_BEHAVIOURS} behaviours for them",
        patterns.len()
    );
    Ok(patterns)
}

/// Whether a pattern is about paths that something else answers at AWS.
fn is_taken(pattern: &str, page: &[&str]) -> bool {
    let covers = |file: &&str| match pattern.strip_suffix('*') {
        Some(folder) => format!("/{file}").starts_with(folder),
        None => pattern.strip_prefix('/') == Some(*file),
    };
    let is_below = |folder: &str| pattern.starts_with(folder);
    // The next version's page has other files below /assets/.
    ["/api/", "/assets/", "/shared/"].into_iter().any(is_below)
        || pattern == "/shared"
        || page.iter().any(covers)
}

#[cfg(test)]
mod tests {
    use edge_auth::config::{Access, RequiredClaims, Rule};

    use super::*;

    const PAGE: [&str; 4] = [
        "assets/index-4f2a.js",
        "fonts/inter.woff2",
        "index.html",
        "settings.json",
    ];

    fn found(paths: &[&str]) -> anyhow::Result<Vec<String>> {
        let rule = |path: &&str| Rule {
            path: (*path).to_owned(),
            access: Access::Anyone,
            methods: Vec::new(),
            claims: RequiredClaims::new(),
        };
        let config = edge_auth::Config {
            rules: paths.iter().map(rule).collect(),
            ..edge_auth::Config::default()
        };
        behaviours(&config, &PAGE)
    }

    #[test]
    fn rules_become_the_paths_of_behaviours() {
        let found = found(&[
            "/media/{owner}/**",
            "/media/shared/**",
            "/team/{claim:groups}/**",
            "/a/b-*/c",
            "/robots.txt",
            "/media/{owner}/x",
        ]);
        assert_eq!(
            found.unwrap(),
            [
                "/media/*",
                "/media/shared/*",
                "/team/*",
                "/a/*",
                "/robots.txt"
            ]
        );
    }

    #[test]
    fn paths_that_something_else_answers_are_refused() {
        for path in [
            "/",
            "/**",
            "/{owner}/**",
            "/é/**",
            "/api/x",
            "/api/**",
            "/assets/**",
            "/assets/*.png",
            "/assets/mine.png",
            "/fonts/**",
            "/fonts/inter.woff2",
            "/index.html",
            "/settings.json",
            "/shared",
            "/shared/**",
            "/shared/{owner}/**",
            "/shared/media/x",
        ] {
            assert!(found(&[path]).is_err(), "{path}");
        }
        for path in [
            "/assets-of-mine/**",
            "/fonts/mine/**",
            "/index.html/**",
            "/settings.jso",
            "/shared-with-me/**",
        ] {
            assert!(found(&[path]).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_distribution_has_so_many_behaviours_and_no_more() {
        let paths: Vec<_> = (0..=MAX_BEHAVIOURS).map(|n| format!("/{n}/**")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        assert!(found(&paths).is_err());
        assert!(found(&paths[1..]).is_ok());
    }
}
