//! Text of the person's in messages: escaped, bounded, and quoted where it is to be pasted.

/// How many characters of a text a message shows.
const SHOWN: usize = 60;

/// Returns a text in quotes, with control characters escaped, and cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((cut, _)) => format!("{:?}", format!("{}…", &text[..cut])),
        None => format!("{text:?}"),
    }
}

/// Returns a text as one word of a POSIX shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-,:/@%+=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Iterates over the members of a list with commas.
pub(crate) fn members(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_shell() {
        assert_eq!(word("https://api.example.com:8443/v1,b"), "https://api.example.com:8443/v1,b");
        assert_eq!(word("X-Api-Key: {}"), "'X-Api-Key: {}'");
        assert_eq!(word("*.example.com"), "'*.example.com'");
        assert_eq!(word("o'hara"), r"'o'\''hara'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        assert_eq!(shown("a\u{1b}[1m"), r#""a\u{1b}[1m""#);
        let long = shown(&"é".repeat(1000));
        assert_eq!(long.chars().count(), SHOWN + 3);
    }

    #[test]
    fn a_list_has_commas_and_spaces() {
        assert_eq!(members(" a, b,,c ,").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(members(" , ").count(), 0);
    }
}
