//! Paths that differ in what not every server minds, for what is refused more widely than it is
//! written.

use moat_provider_core::PathPattern;

/// A pattern in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NearPattern(PathPattern);

impl NearPattern {
    pub(crate) fn new(pattern: &PathPattern) -> Self {
        let path = pattern.to_string().to_ascii_lowercase();
        let folded = match path.strip_suffix("/**") {
            Some("") => Ok(PathPattern::any()),
            Some(prefix) => PathPattern::under(prefix),
            None => PathPattern::exact(&path),
        };
        Self(folded.unwrap_or_else(|_| pattern.clone()))
    }

    /// Returns the pattern in lower case.
    pub(crate) fn pattern(&self) -> &PathPattern {
        &self.0
    }
}

/// One reading of a path, as servers spell it that mind neither case nor a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct NearPath {
    spellings: [String; 2],
    /// Without the name of a format, such as `.json`, which Rails and Grape take at the end.
    stem: Option<String>,
}

impl NearPath {
    pub(crate) fn new(reading: &str) -> Self {
        let bare = reading.trim_end_matches('/').to_ascii_lowercase();
        let stem = bare.rsplit_once('.').filter(|(stem, format)| {
            !stem.is_empty() && !stem.ends_with('/') && !format.contains('/')
        });
        let stem = stem.map(|(stem, _)| stem.to_owned());
        Self { spellings: [format!("{bare}/"), bare], stem }
    }

    /// Whether a pattern matches, but for case and a slash at the end.
    pub(crate) fn is_of(&self, pattern: &NearPattern) -> bool {
        self.spellings.iter().any(|path| pattern.0.matches(path))
    }

    /// Whether a pattern matches, but for these and the name of a format.
    pub(crate) fn is_of_in_some_format(&self, pattern: &NearPattern) -> bool {
        self.is_of(pattern) || self.stem.as_ref().is_some_and(|stem| pattern.0.matches(stem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_slash_and_format_make_no_other_path() {
        let under = NearPattern::new(&PathPattern::under("/User/keys").unwrap());
        let exact = NearPattern::new(&PathPattern::exact("/v1/authTokens").unwrap());
        for path in ["/user/keys", "/user/keys/", "/USER/Keys/1", "/user/keys//"] {
            assert!(NearPath::new(path).is_of(&under), "{path}");
            assert!(!NearPath::new(path).is_of(&exact), "{path}");
        }
        for path in ["/user/keys.json", "/user/keys.v1.json", "/v1/authtokens.xml", "/"] {
            assert!(!NearPath::new(path).is_of(&under), "{path}");
            assert!(!NearPath::new(path).is_of(&exact), "{path}");
        }
        assert!(NearPath::new("/user/keys.json/").is_of_in_some_format(&under));
        assert!(NearPath::new("/v1/authtokens.xml").is_of_in_some_format(&exact));
        for path in ["/user/keys.d/x", "/user/.keys", "/user.json/keys", "/v1/authtokens/x.y"] {
            let near = NearPath::new(path);
            assert!(!near.is_of_in_some_format(&exact), "{path}");
            assert!(!near.is_of_in_some_format(&under), "{path}");
        }
        let any = NearPattern::new(&PathPattern::any());
        assert!(["/", "/x.y"].iter().all(|path| NearPath::new(path).is_of(&any)));
    }
}
