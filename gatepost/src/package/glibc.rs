//! Finds the glibc that an ELF file needs: the newest version that one of its symbols requires.

use anyhow::Context as _;
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};

/// The newest `GLIBC_x.y` among the versions that an object needs.
pub(super) fn needed(content: &[u8]) -> anyhow::Result<(u16, u16)> {
    let header = FileHeader64::<Endianness>::parse(content)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, content)?;
    let mut newest = (0, 0);
    for section in sections.iter() {
        let Some((mut libraries, strings)) = section.gnu_verneed(endian, content)? else {
            continue;
        };
        let strings = sections.strings(endian, content, strings)?;
        while let Some((_, mut versions)) = libraries.next()? {
            while let Some(version) = versions.next()? {
                let name = version.name(endian, strings)?;
                if let Some(numbers) = name.strip_prefix(b"GLIBC_") {
                    newest = newest.max(parse(numbers)?);
                }
            }
        }
    }
    Ok(newest)
}

/// `2.34`, or `2.2.5` of which the last number does not matter here, or a feature that came with a version.
fn parse(numbers: &[u8]) -> anyhow::Result<(u16, u16)> {
    let text = std::str::from_utf8(numbers)?;
    // Packed relative relocations: this name makes a glibc that cannot apply them refuse the file.
    if text == "ABI_DT_RELR" {
        return Ok((2, 36));
    }
    let mut numbers = text.split('.').map(str::parse);
    let mut number = || {
        numbers
            .next()
            .and_then(Result::ok)
            .with_context(|| format!("GLIBC_{text} is not a version"))
    };
    Ok((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (text, version) in [
            ("2.34", Some((2, 34))),
            ("2.2.5", Some((2, 2))),
            ("2.9", Some((2, 9))),
            ("ABI_DT_RELR", Some((2, 36))),
            ("ABI_ELSE", None),
            ("PRIVATE", None),
        ] {
            assert_eq!(parse(text.as_bytes()).ok(), version, "{text}");
        }
        assert!((2, 9) < (2, 34));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_program_needs_some_glibc() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needed(&program).unwrap() >= (2, 2));
        assert!(needed(b"no ELF").is_err());
    }
}
