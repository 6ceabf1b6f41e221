//! Node-API: reads arguments, returns answers, throws errors. This module has the only unsafe code of the runtime.
//!
//! The functions use `napi-sys` directly. Passing the strings of a request through the generated wrappers of `napi`
//! took 660 ns, as one JSON text 2,980 ns, through a shared buffer 400 ns, and this way 135 ns (Node 20, three strings
//! of 880 bytes in total). That is a large part of a decision on a cached token.
//!
//! Invariants for all unsafe code here: `env`, `info` and values come from Node and are used only within their call. No
//! reference to JavaScript's memory is kept; every string is copied out.

#![expect(unsafe_code, reason = "this module exists to call C")]

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::panic::AssertUnwindSafe;
use std::ptr;

use edge_auth::{Lines, OtherHeaders, Request};
use jiff::Timestamp;
use napi_sys::{
    Status, ValueType, napi_callback, napi_callback_info, napi_create_function,
    napi_create_string_utf8, napi_env, napi_get_array_length, napi_get_cb_info, napi_get_element,
    napi_get_undefined, napi_get_value_double, napi_get_value_string_utf8, napi_is_array,
    napi_set_named_property, napi_throw_error, napi_typeof, napi_value,
};

use crate::runtime;

/// The maximum number of arguments of a function.
const MAX_ARGUMENTS: usize = 13;
/// Room for the strings of nearly every request: `CloudFront` accepts 20 KB in all. The buffer grows when needed.
const USUAL_BYTES: usize = 24 * 1024;

thread_local! {
    /// The buffer of the previous call, reused. Allocating as much each time costs a microsecond.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Registers the functions. Node calls it when it loads the addon.
///
/// # Safety
///
/// `env` and `exports` are those of the call.
#[unsafe(no_mangle)]
unsafe extern "C" fn napi_register_module_v1(env: napi_env, exports: napi_value) -> napi_value {
    let functions: [(&CStr, napi_callback); 5] = [
        (c"configure", Some(configure)),
        (c"decide", Some(decide)),
        (c"keysDue", Some(keys_due)),
        (c"acceptKeys", Some(accept_keys)),
        (c"keysNotFetched", Some(keys_not_fetched)),
    ];
    for (name, function) in functions {
        let mut value = ptr::null_mut();
        // SAFETY: `env` and `exports` are live, the name ends in a zero, and `value` is written before it is read.
        unsafe {
            napi_create_function(
                env,
                name.as_ptr(),
                name.count_bytes().cast_signed(),
                function,
                ptr::null_mut(),
                &raw mut value,
            );
            napi_set_named_property(env, exports, name.as_ptr(), value);
        }
    }
    exports
}

/// The version of Node-API: 1, which every Node supports.
#[unsafe(no_mangle)]
extern "C" fn node_api_module_get_api_version_v1() -> i32 {
    8
}

extern "C" fn configure(env: napi_env, info: napi_callback_info) -> napi_value {
    answer(env, info, |call| {
        let config = call.text(0)?;
        runtime::configure(call.read(&config)).map(Answer::Text)
    })
}

extern "C" fn decide(env: napi_env, info: napi_callback_info) -> napi_value {
    answer(env, info, |call| {
        let now = call.time(0)?;
        let request_id = call.text(1)?;
        let method = call.text(2)?;
        let uri = call.text(3)?;
        let querystring = call.text(4)?;
        let authorization = call.lines(5)?;
        let cookie = call.lines(6)?;
        let accept = call.lines(7)?;
        let sec_fetch_mode = call.lines(8)?;
        let origin = call.lines(9)?;
        let requested_method = call.lines(10)?;
        let requested_headers = call.lines(11)?;
        let other = call.lines(12)?;
        let request = Request {
            method: call.read(&method),
            uri: call.read(&uri),
            querystring: call.read(&querystring),
            authorization: call.read_lines(&authorization),
            cookie: call.read_lines(&cookie),
            accept: call.read_lines(&accept),
            sec_fetch_mode: call.read_lines(&sec_fetch_mode),
            origin: call.read_lines(&origin),
            access_control_request_method: call.read_lines(&requested_method),
            access_control_request_headers: call.read_lines(&requested_headers),
            other: call.read_pairs(&other),
        };
        runtime::decide(now, call.read(&request_id), &request).map(Answer::Text)
    })
}

extern "C" fn keys_due(env: napi_env, info: napi_callback_info) -> napi_value {
    answer(env, info, |call| {
        runtime::keys_due(call.time(0)?).map(Answer::Text)
    })
}

extern "C" fn accept_keys(env: napi_env, info: napi_callback_info) -> napi_value {
    answer(env, info, |call| {
        let now = call.time(0)?;
        let url = call.text(1)?;
        let jwks = call.text(2)?;
        runtime::accept_keys(now, call.read(&url), call.read(&jwks)).map(Answer::Text)
    })
}

extern "C" fn keys_not_fetched(env: napi_env, info: napi_callback_info) -> napi_value {
    answer(env, info, |call| {
        let now = call.time(0)?;
        let url = call.text(1)?;
        runtime::keys_not_fetched(now, call.read(&url)).map(|()| Answer::Nothing)
    })
}

/// A function's return value.
enum Answer {
    Nothing,
    Text(String),
}

/// Runs a function. Its errors and panics are thrown.
fn answer(
    env: napi_env,
    info: napi_callback_info,
    function: impl FnOnce(&mut Call) -> Result<Answer, String>,
) -> napi_value {
    // Only the authorizer outlives the call, and its locks ignore poisoning.
    let run = AssertUnwindSafe(|| function(&mut Call::new(env, info)?));
    let result = std::panic::catch_unwind(run)
        .unwrap_or_else(|_| Err("the addon panicked; its log line says where".to_owned()));
    let mut value = ptr::null_mut();
    // SAFETY: `env` is live; texts are given with their length; `value` is null or what Node made of it.
    unsafe {
        match result {
            Ok(Answer::Nothing) => napi_get_undefined(env, &raw mut value),
            Ok(Answer::Text(text)) => napi_create_string_utf8(
                env,
                text.as_ptr().cast::<c_char>(),
                text.len().cast_signed(),
                &raw mut value,
            ),
            Err(message) => {
                let message = message.replace('\0', " ") + "\0";
                napi_throw_error(env, ptr::null(), message.as_ptr().cast::<c_char>())
            }
        };
    }
    value
}

/// The arguments of a call, and the strings copied out of them so far.
struct Call {
    env: napi_env,
    arguments: [napi_value; MAX_ARGUMENTS],
    texts: Vec<u8>,
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut texts = std::mem::take(&mut self.texts);
        // An unusually large buffer is not kept.
        if texts.capacity() <= 2 * USUAL_BYTES {
            // The buffer contains tokens.
            texts.fill(0);
            texts.clear();
            ROOM.set(texts);
        }
    }
}

/// The range of a string within the buffer.
struct Text {
    start: usize,
    end: usize,
}

enum TextLines {
    None,
    One(Text),
    Many(Vec<Text>),
}

impl Call {
    fn new(env: napi_env, info: napi_callback_info) -> Result<Self, String> {
        let mut arguments = [ptr::null_mut(); MAX_ARGUMENTS];
        let mut n_arguments = MAX_ARGUMENTS;
        // SAFETY: there is room for as many arguments as is said; missing ones become `undefined`.
        let status = unsafe {
            napi_get_cb_info(
                env,
                info,
                &raw mut n_arguments,
                arguments.as_mut_ptr(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if status != Status::napi_ok {
            return Err("the arguments could not be read".to_owned());
        }
        let mut texts = ROOM.take();
        texts.reserve(USUAL_BYTES);
        Ok(Self {
            env,
            arguments,
            texts,
        })
    }

    /// An argument that is a number of milliseconds since 1970.
    fn time(&self, index: usize) -> Result<Timestamp, String> {
        let mut milliseconds = 0.0;
        // SAFETY: the argument is live; anything but a number is answered with another status.
        let status = unsafe {
            napi_get_value_double(self.env, self.arguments[index], &raw mut milliseconds)
        };
        let wrong = || format!("argument {index} is not a time");
        if status != Status::napi_ok || !milliseconds.is_finite() {
            return Err(wrong());
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the cast saturates at the ends of i64, which are not valid times either"
        )]
        let milliseconds = milliseconds as i64;
        Timestamp::from_millisecond(milliseconds).map_err(|_| wrong())
    }

    /// An argument that is a string.
    fn text(&mut self, index: usize) -> Result<Text, String> {
        self.copy(self.arguments[index])
            .ok_or_else(|| format!("argument {index} is not a string"))
    }

    /// An argument that is a header: `undefined`, a string, or an array of strings.
    fn lines(&mut self, index: usize) -> Result<TextLines, String> {
        let value = self.arguments[index];
        let mut kind = ValueType::napi_undefined;
        // SAFETY: the argument is live.
        unsafe { napi_typeof(self.env, value, &raw mut kind) };
        if kind == ValueType::napi_undefined {
            return Ok(TextLines::None);
        }
        if kind == ValueType::napi_string {
            return self.text(index).map(TextLines::One);
        }
        let wrong = || format!("argument {index} is not a header");
        let mut is_array = false;
        let mut length = 0;
        // SAFETY: the argument is live; the length is read only from an array.
        unsafe {
            napi_is_array(self.env, value, &raw mut is_array);
            if !is_array
                || napi_get_array_length(self.env, value, &raw mut length) != Status::napi_ok
            {
                return Err(wrong());
            }
        }
        let mut lines = Vec::new();
        for position in 0..length {
            let mut element = ptr::null_mut();
            // SAFETY: the array is live; `element` is used only where it was written.
            let status = unsafe { napi_get_element(self.env, value, position, &raw mut element) };
            if status != Status::napi_ok {
                return Err(wrong());
            }
            lines.push(self.copy(element).ok_or_else(wrong)?);
        }
        Ok(TextLines::Many(lines))
    }

    /// Copies a string, if it is one, as UTF-8.
    fn copy(&mut self, value: napi_value) -> Option<Text> {
        let start = self.texts.len();
        loop {
            let room = self.texts.capacity() - start;
            let mut n_bytes = 0;
            // SAFETY: `room` bytes are free from `start`. Node writes at most that many, including the terminating
            // zero. For anything but a string it returns another status.
            let status = unsafe {
                let end = self.texts.as_mut_ptr().add(start).cast::<c_char>();
                napi_get_value_string_utf8(self.env, value, end, room, &raw mut n_bytes)
            };
            if status != Status::napi_ok {
                return None;
            }
            // A character has at most four bytes: with this much room left nothing was truncated.
            if n_bytes + 5 <= room {
                let end = start + n_bytes;
                // SAFETY: this many bytes were written.
                unsafe { self.texts.set_len(end) };
                return Some(Text { start, end });
            }
            self.texts.reserve(2 * room + USUAL_BYTES);
        }
    }

    /// A string that was copied. Node writes UTF-8; anything else would read as empty and be refused.
    fn read(&self, text: &Text) -> &str {
        let bytes = self.texts.get(text.start..text.end).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Pairs of alternating names and lines, by name.
    fn read_pairs(&self, pairs: &TextLines) -> OtherHeaders<'_> {
        let TextLines::Many(texts) = pairs else {
            return OtherHeaders::None;
        };
        let mut lines: Vec<(&str, Vec<&str>)> = Vec::new();
        for pair in texts.chunks_exact(2) {
            let (name, line) = (self.read(&pair[0]), self.read(&pair[1]));
            match lines.iter_mut().find(|(found, _)| *found == name) {
                Some((_, lines)) => lines.push(line),
                None => lines.push((name, vec![line])),
            }
        }
        let lines = lines.into_iter();
        OtherHeaders::Some(
            lines
                .map(|(name, lines)| (name, lines.into_iter().collect()))
                .collect(),
        )
    }

    fn read_lines(&self, lines: &TextLines) -> Lines<'_> {
        match lines {
            TextLines::None => Lines::None,
            TextLines::One(text) => Lines::One(self.read(text)),
            TextLines::Many(texts) => texts.iter().map(|text| self.read(text)).collect(),
        }
    }
}
