//! `[uploads]`: what is accepted, where forms are posted, and how long they are valid.
//!
//! [`Config::load`](super::Config::load) calls it.

use jiff::SignedDuration;
use signing_api::UploadsThrough;
use thumbnailer::settings::Settings as ImageSettings;

use super::delivery::DeliveryMode;
use super::document::Section;
use super::units::{parse_bytes, parse_duration, parse_name};

/// The names of types.
const TYPES: &str = "\"image/jpeg\", \"image/png\", \"image/webp\" or \"image/gif\"";
/// The keys of `[uploads]`.
const UPLOADS: [&str; 5] = ["animated", "expires_in", "max_bytes", "through", "types"];

/// `[uploads]`: where forms are posted and how long they are valid; what is accepted goes into the settings of images.
pub(super) fn read(
    root: &Section<'_>,
    delivery: DeliveryMode,
    images: &mut ImageSettings,
) -> (UploadsThrough, SignedDuration) {
    let mut form_lifetime = SignedDuration::from_mins(5);
    let mut uploads_through = match delivery {
        // One domain for everything is why this mode is chosen.
        DeliveryMode::Presigned => UploadsThrough::Distribution,
        _ => UploadsThrough::Bucket,
    };
    if let Some(section) = root.section("uploads", &UPLOADS) {
        if let Some(through) = section.text("through") {
            match through.as_str() {
                "bucket" => uploads_through = UploadsThrough::Bucket,
                "distribution" => uploads_through = UploadsThrough::Distribution,
                _ => section.fault(
                    "through",
                    &format!("{through:?} is neither \"bucket\" nor \"distribution\""),
                ),
            }
        }
        if let Some(types) = section.names("types", TYPES, parse_name) {
            images.types = types;
        }
        if let Some(bytes) = section.parsed("max_bytes", parse_bytes) {
            images.max_bytes = bytes;
            // Every photo is larger: the unit is missing.
            if bytes < 1024 {
                section.fault(
                    "max_bytes",
                    "is too small for a photo; write for example 25 MiB",
                );
            }
        }
        if let Some(animated) = section.text("animated") {
            match parse_name(&animated) {
                Some(animated) => images.animated = animated,
                None => section.fault(
                    "animated",
                    &format!("{animated:?} is neither \"reject\" nor \"first-frame\""),
                ),
            }
        }
        if let Some(lifetime) = section.parsed("expires_in", parse_duration) {
            form_lifetime = lifetime;
            if lifetime > SignedDuration::from_hours(12) {
                section.fault("expires_in", "is too long; a form is valid for at most 12h");
            }
        }
    }
    (uploads_through, form_lifetime)
}
