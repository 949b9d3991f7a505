//! Instruction files.

use moat_agent::instructions::merge;

#[test]
fn the_persons_own_text_comes_last_and_stays_as_it_is() {
    let own = "# Mine\n\nUse tabs.   \n\n";
    assert_eq!(
        merge(["# Run\n", "", "## API\n\n"], Some(own)).unwrap(),
        "# Run\n\n## API\n\n# Mine\n\nUse tabs.   \n\n"
    );
    assert_eq!(merge([], Some(own)).unwrap(), own);
}

#[test]
fn what_is_empty_is_left_out() {
    assert_eq!(merge(["# Run\n\n"], Some(" \n")).unwrap(), "# Run\n");
    assert_eq!(merge(["# Run"], None).unwrap(), "# Run\n");
    assert_eq!(merge(["", " \n"], Some("")), None);
    assert_eq!(merge([], None), None);
}
