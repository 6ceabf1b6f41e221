//! Turns the rules' paths into CloudFront's path patterns, whose behaviours call the authorizer.
//!
//! A rule that the local stack accepts and CloudFront cannot express is a fault; `gatepost package` reports all of them at
//! once.

use anyhow::bail;
use edge_auth::config::{Access, Rule};
use media_contract::ORIGIN_PATH;
use signing_api::{DeliveryMode, UPLOAD_PATH};

/// CloudFront's quota is 75 behaviours per distribution, 25 in older accounts. The API, shared links and uploads need one
/// each, and mode `function` two, which refuse the folder of the bucket.
const MAX_BEHAVIOURS: usize = 25 - 5;
/// The characters of a path pattern besides letters and digits, without its wildcards `*` and `?`. AWS, "Distribution
/// settings", path pattern.
///
/// CloudFront allows `+` and `"`, too. They are left out here: requests must encode them (a raw `+` has two readings), and
/// the encoded form does not match them.
const PATTERN_CHARACTERS: &str = "_-.$/~'@:&";
/// The longest path pattern, in characters.
const MAX_PATTERN_LENGTH: usize = 255;
/// The methods that the rules' behaviours allow: `edge_methods` in `infra/modules/gatepost/distribution.tf`.
const METHODS: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// The rules' path patterns: the fixed part of each path, and everything below it. The page's files are named without
/// their first slash.
///
/// A pattern that is too narrow exposes nothing: the paths that it leaves out go to another bucket.
///
/// # Errors
///
/// Every fault of every rule, one per line, each with its key: `rules[2].path: …`.
pub(crate) fn behaviours(
    config: &edge_auth::Config,
    mode: DeliveryMode,
    page: &[&str],
) -> anyhow::Result<Vec<String>> {
    let mut patterns: Vec<String> = Vec::new();
    let mut faults: Vec<String> = Vec::new();
    for (idx, rule) in config.rules.iter().enumerate() {
        if let Some(reason) = methods_fault(&rule.methods) {
            faults.push(format!("rules[{idx}].methods: {reason}"));
        }
        let pattern = pattern(&rule.path);
        if let Some(reason) = path_fault(&pattern, page) {
            faults.push(format!("rules[{idx}].path: {reason}"));
        } else if !patterns.contains(&pattern) {
            patterns.push(pattern);
        }
    }
    if patterns.len() > MAX_BEHAVIOURS {
        faults.push(format!(
            "rules: they need {} behaviours, and a distribution has room for {MAX_BEHAVIOURS}; put folders together below another",
            patterns.len()
        ));
    }
    if decides_by_behaviour(mode) && faults.is_empty() {
        let public = public(config, mode, &patterns);
        for (idx, rule) in config.rules.iter().enumerate() {
            if matches!(rule.access, Access::Anyone) && !public.contains(&pattern(&rule.path)) {
                faults.push(format!(
                    "rules[{idx}].path: in mode {:?} CloudFront opens only a whole folder, such as /public/**, or an exact path to anyone, for GET and HEAD, and no earlier rule may be about a part of it; change this rule, or move it up",
                    mode.name()
                ));
            }
        }
    }
    if faults.is_empty() {
        Ok(patterns)
    } else {
        bail!(faults.join("\n"))
    }
}

/// Whether no code decides about a view, so that a public behaviour is open to anyone as a whole.
fn decides_by_behaviour(mode: DeliveryMode) -> bool {
    matches!(mode, DeliveryMode::Signed | DeliveryMode::Presigned)
}

/// The patterns whose allowed requests are all allowed for anyone. A behaviour has one response headers policy, so one
/// private path makes the whole behaviour private. In a mode without code at the edge a public behaviour asks for no
/// signature, so rules for anyone must allow everything that it matches.
pub(crate) fn public(
    config: &edge_auth::Config,
    mode: DeliveryMode,
    patterns: &[String],
) -> Vec<String> {
    let must_allow_all = decides_by_behaviour(mode);
    let is_public = |pattern: &&String| is_for_anyone(pattern, &config.rules, must_allow_all);
    patterns.iter().filter(is_public).cloned().collect()
}

/// Rules are tried in their order, and the first one that matches a request decides. What no rule matches is denied.
fn is_for_anyone(pattern: &str, rules: &[Rule], must_allow_all: bool) -> bool {
    for rule in rules {
        if !overlap(pattern, &self::pattern(&rule.path)) {
            continue;
        }
        if !matches!(rule.access, Access::Anyone) {
            return false;
        }
        if decides_all(rule, pattern) {
            return true;
        }
    }
    !must_allow_all
}

/// Whether a path can match both.
fn overlap(one: &str, other: &str) -> bool {
    match (one.strip_suffix('*'), other.strip_suffix('*')) {
        (Some(one), Some(other)) => one.starts_with(other) || other.starts_with(one),
        (Some(folder), None) => other.starts_with(folder),
        (None, Some(folder)) => one.starts_with(folder),
        (None, None) => one == other,
    }
}

/// Whether a rule matches everything that a pattern matches, so that no later rule is tried.
fn decides_all(rule: &Rule, pattern: &str) -> bool {
    let has =
        |method: &str| rule.methods.is_empty() || rule.methods.iter().any(|own| own == method);
    let is_about = match rule.path.strip_suffix("**") {
        Some(folder) => !folder.contains(['*', '{']) && pattern.starts_with(folder),
        // A star of the rule is one segment, and one of the pattern any number.
        None => rule.path == pattern && !pattern.ends_with('*'),
    };
    is_about && has("GET") && has("HEAD")
}

/// The pattern of a rule's path. The part after the first variable does not matter, even if a claim's name contains
/// slashes: `/team/{claim:https://example.com/roles}/**` is `/team/*`.
fn pattern(path: &str) -> String {
    let is_fixed = |segment: &&str| !segment.contains(['*', '{']);
    let segments: Vec<&str> = path.split('/').collect();
    let fixed: Vec<&str> = segments.iter().copied().take_while(is_fixed).collect();
    if fixed.len() == segments.len() {
        path.to_owned()
    } else {
        format!("{}/*", fixed.join("/"))
    }
}

/// The reason why CloudFront cannot have a behaviour for a pattern, if there is one.
fn path_fault(pattern: &str, page: &[&str]) -> Option<String> {
    let fixed = pattern.strip_suffix('*').unwrap_or(pattern);
    let is_allowed = |character: char| {
        character.is_ascii_alphanumeric() || PATTERN_CHARACTERS.contains(character)
    };
    let mut others: Vec<char> = Vec::new();
    for character in fixed.chars().filter(|&character| !is_allowed(character)) {
        if !others.contains(&character) {
            others.push(character);
        }
    }
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(|other| format!("{other:?}")).collect();
        return Some(format!(
            "CloudFront's path patterns cannot contain {}; before the first variable use only letters, digits and {PATTERN_CHARACTERS}",
            others.join(", ")
        ));
    }
    if pattern.len() > MAX_PATTERN_LENGTH {
        return Some(format!(
            "CloudFront's path pattern would have {} characters, and the maximum is {MAX_PATTERN_LENGTH}; shorten the part before the first variable",
            pattern.len()
        ));
    }
    if pattern == "/" || is_taken(pattern, page) {
        return Some(
            "it overlaps with paths of the page, the API, shared links, uploads or the bucket's own folder; use another folder, such as /media"
                .to_owned(),
        );
    }
    None
}

/// The fault of a rule with methods that CloudFront never forwards.
fn methods_fault(methods: &[String]) -> Option<String> {
    let is_refused = |method: &&String| !METHODS.contains(&method.as_str());
    let refused: Vec<_> = methods.iter().filter(is_refused).cloned().collect();
    (!refused.is_empty()).then(|| {
        format!(
            "CloudFront refuses {} for media before it calls the authorizer; only {} arrive there",
            refused.join(", "),
            METHODS.join(", ")
        )
    })
}

/// Whether a pattern overlaps with paths of another behaviour.
fn is_taken(pattern: &str, page: &[&str]) -> bool {
    let covers = |file: &&str| match pattern.strip_suffix('*') {
        Some(folder) => format!("/{file}").starts_with(folder),
        None => pattern.strip_prefix('/') == Some(*file),
    };
    let is_below = |folder: &str| pattern.starts_with(folder);
    // The page's next version has other files in /assets/.
    // The folder of the bucket, which a behaviour of its own refuses in mode "function".
    let is_origin_path = pattern == ORIGIN_PATH || is_below(&format!("{ORIGIN_PATH}/"));
    ["/api/", "/assets/", "/shared/"].into_iter().any(is_below)
        || matches!(pattern, "/shared" | UPLOAD_PATH)
        || is_origin_path
        || page.iter().any(covers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: [&str; 4] = [
        "assets/index-4f2a.js",
        "fonts/inter.woff2",
        "index.html",
        "settings.json",
    ];

    fn rule(path: &str, methods: &[&str]) -> Rule {
        Rule {
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            ..Rule::new(path, Access::Anyone)
        }
    }

    fn found_of(rules: Vec<Rule>) -> anyhow::Result<Vec<String>> {
        let config = edge_auth::Config {
            rules,
            ..edge_auth::Config::default()
        };
        behaviours(&config, DeliveryMode::Lambda, &PAGE)
    }

    fn found(paths: &[&str]) -> anyhow::Result<Vec<String>> {
        found_of(paths.iter().map(|path| rule(path, &[])).collect())
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
            "/by-role/{claim:https://example.com/a role}/**",
            "/A-Z_a.z0-9$~'@:&/(*)/**",
        ]);
        assert_eq!(
            found.unwrap(),
            [
                "/media/*",
                "/media/shared/*",
                "/team/*",
                "/a/*",
                "/robots.txt",
                "/by-role/*",
                "/A-Z_a.z0-9$~'@:&/*",
            ]
        );
    }

    #[test]
    fn paths_that_something_else_answers_are_refused() {
        for path in [
            "/",
            "/**",
            "/{owner}/**",
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
            "/upload",
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
    fn faults_of_all_rules_are_reported_at_once() {
        let long = format!("/{}", "x".repeat(MAX_PATTERN_LENGTH - 3));
        let longest = format!("{long}/**");
        let too_long = format!("{long}x/**");
        let refused = found_of(vec![
            rule("/my photos (2026)/**", &["GET", "PUT", "DELETE"]),
            rule("/media/{owner}/**", &["GET", "HEAD", "OPTIONS"]),
            rule("/é;a=b,c!/[x]/**", &[]),
            rule(&longest, &[]),
            rule(&too_long, &["POST"]),
            rule("/api/**", &["PATCH"]),
        ]);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "rules[0].methods: CloudFront refuses PUT, DELETE for media before it calls the authorizer; only GET, HEAD, OPTIONS arrive there\n\
             rules[0].path: CloudFront's path patterns cannot contain ' ', '(', ')'; before the first variable use only letters, digits and _-.$/~'@:&\n\
             rules[2].path: CloudFront's path patterns cannot contain 'é', ';', '=', ',', '!', '[', ']'; before the first variable use only letters, digits and _-.$/~'@:&\n\
             rules[4].methods: CloudFront refuses POST for media before it calls the authorizer; only GET, HEAD, OPTIONS arrive there\n\
             rules[4].path: CloudFront's path pattern would have 256 characters, and the maximum is 255; shorten the part before the first variable\n\
             rules[5].methods: CloudFront refuses PATCH for media before it calls the authorizer; only GET, HEAD, OPTIONS arrive there\n\
             rules[5].path: it overlaps with paths of the page, the API, shared links, uploads or the bucket's own folder; use another folder, such as /media"
        );
    }

    #[test]
    fn every_character_is_one_of_cloudfronts_or_a_fault() {
        for character in (' '..='\u{17f}').filter(|character| !matches!(character, '*' | '{' | '/'))
        {
            let is_taken = character.is_ascii_alphanumeric() || "_-.$~'@:&".contains(character);
            // Alone, and before the first variable.
            for path in [format!("/x{character}"), format!("/x{character}/**")] {
                assert_eq!(found(&[&path]).is_ok(), is_taken, "{path}");
            }
        }
    }

    #[test]
    fn a_behaviour_is_public_if_no_rule_below_it_asks_who_it_is() {
        let of = |path: &str, access: Access| Rule::new(path, access);
        let (anyone, owner) = (|| Access::Anyone, || Access::Owner);
        let only_head = Rule {
            methods: vec!["HEAD".to_owned()],
            ..Rule::new("/media/**", Access::Anyone)
        };
        for (rules, public) in [
            (vec![of("/media/**", anyone())], vec!["/media/*"]),
            (vec![of("/media/{owner}/**", owner())], vec![]),
            (vec![of("/media/**", Access::Authenticated)], vec![]),
            // The first that is about a request decides.
            (
                vec![of("/media/**", anyone()), of("/media/{owner}/**", owner())],
                vec!["/media/*"],
            ),
            (
                vec![of("/media/{owner}/**", owner()), of("/media/**", anyone())],
                vec![],
            ),
            (
                vec![
                    of("/media/open/**", anyone()),
                    of("/media/{owner}/**", owner()),
                ],
                vec!["/media/open/*"],
            ),
            // What the first is not about falls to the second, in the first one's behaviour.
            (
                vec![
                    of("/media/*/small", anyone()),
                    of("/media/{owner}/**", owner()),
                ],
                vec![],
            ),
            (
                vec![
                    of("/media/open/*/small", anyone()),
                    of("/media/{owner}/**", owner()),
                ],
                vec![],
            ),
            (vec![of("/a/*/x", anyone()), of("/a/b/**", owner())], vec![]),
            (vec![only_head, of("/media/{owner}/**", owner())], vec![]),
            (
                vec![of("/robots.txt", anyone()), of("/robots.txt.d/**", owner())],
                vec!["/robots.txt"],
            ),
            (
                vec![of("/open/*", anyone()), of("/opening/**", owner())],
                vec!["/open/*"],
            ),
        ] {
            let config = edge_auth::Config {
                rules,
                ..edge_auth::Config::default()
            };
            let patterns = behaviours(&config, DeliveryMode::Lambda, &PAGE).unwrap();
            let found = super::public(&config, DeliveryMode::Lambda, &patterns);
            assert_eq!(found, public, "{:?}", config.rules);
        }
    }

    #[test]
    fn without_code_at_the_edge_only_what_a_rule_allows_as_a_whole_is_public() {
        let of = |path: &str, access: Access| Rule::new(path, access);
        let (anyone, owner) = (|| Access::Anyone, || Access::Owner);
        let only_head = Rule {
            methods: vec!["HEAD".to_owned()],
            ..of("/heads/**", anyone())
        };
        for (rules, expected) in [
            (vec![of("/open/**", anyone())], Ok(vec!["/open/*"])),
            (vec![of("/robots.txt", anyone())], Ok(vec!["/robots.txt"])),
            (
                vec![
                    of("/media/open/**", anyone()),
                    of("/media/{owner}/**", owner()),
                ],
                Ok(vec!["/media/open/*"]),
            ),
            // Their behaviours would be open, and the rules are not.
            (vec![of("/albums/*/cover.webp", anyone())], Err(0)),
            (vec![of("/open/*", anyone())], Err(0)),
            (vec![only_head], Err(0)),
            // An earlier behaviour asks for a signature.
            (
                vec![of("/a/{owner}/c/**", owner()), of("/a/b", anyone())],
                Err(1),
            ),
            (
                vec![of("/a/{owner}/a", owner()), of("/a/**", anyone())],
                Err(1),
            ),
        ] {
            let config = edge_auth::Config {
                rules,
                ..edge_auth::Config::default()
            };
            let found = behaviours(&config, DeliveryMode::Presigned, &PAGE);
            match (found, expected) {
                (Ok(patterns), Ok(expected)) => {
                    let found = super::public(&config, DeliveryMode::Presigned, &patterns);
                    assert_eq!(found, expected, "{:?}", config.rules);
                }
                (Err(fault), Err(idx)) => {
                    let begin = format!("rules[{idx}].path: in mode \"presigned\"");
                    assert!(fault.to_string().starts_with(&begin), "{fault}");
                }
                (found, _) => panic!("{found:?} {:?}", config.rules),
            }
        }
    }

    #[test]
    fn methods_are_those_of_the_behaviour_in_terraform() {
        let distribution = include_str!("../../../infra/modules/gatepost/distribution.tf");
        let (_, line) = distribution.split_once("edge_methods").unwrap();
        let line = line.lines().next().unwrap().trim_start_matches([' ', '=']);
        assert_eq!(line, format!("{METHODS:?}"));
    }

    #[test]
    fn a_distribution_has_so_many_behaviours_and_no_more() {
        let paths: Vec<_> = (0..=MAX_BEHAVIOURS).map(|n| format!("/{n}/**")).collect();
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        assert!(found(&paths).is_err());
        assert!(found(&paths[1..]).is_ok());
    }
}
