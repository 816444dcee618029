//! Paths, tiles and bundles, beside a port of Go's `x/mod/sumdb/tlog`.

use keyline_station::audit::{
    ENTRY_LENGTH_MAX, HashTile, TileContent, TileId, hash_bundle, leaf_hash, node_hash,
    parse_bundle, push_entry,
};
use proptest::prelude::*;

/// Their paths have the tile's height in them and call entries `data`.
fn foreign_path(content: TileContent, index: u64, width: u16) -> String {
    let (level, data) = match content {
        TileContent::Hashes(level) => (level, false),
        TileContent::Entries => (0, true),
    };
    let tile = tlog_tiles::Tile::new(8, level, index, u32::from(width), data);
    let path = tile.path().replacen("tile/8/", "tile/", 1);
    path.replacen("tile/data/", "tile/entries/", 1)
}

fn content() -> impl Strategy<Value = TileContent> {
    prop_oneof![
        (0..=63_u8).prop_map(TileContent::Hashes),
        Just(TileContent::Entries)
    ]
}

fn index() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..1_000_000_u64, Just(u64::MAX)]
}

proptest! {
    #[test]
    fn a_path_is_that_of_a_foreign_implementation_and_reads_back(
        content in content(), index in index(), width in 1..=256_u16,
    ) {
        let id = TileId::new(content, index, width).unwrap();
        let path = id.to_string();
        prop_assert_eq!(&path, &foreign_path(content, index, width));
        prop_assert_eq!(path.parse::<TileId>().unwrap(), id);
    }

    #[test]
    fn no_other_text_is_a_path(text in "(tile/)?(entries|[0-9]{1,2})/x?[0-9]{1,4}(/x?[0-9]{2,3}){0,3}(\\.p/[0-9]{1,3})?") {
        if let Ok(id) = text.parse::<TileId>() {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn entries_come_back_from_a_bundle(
        entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..=256),
    ) {
        let mut bundle = Vec::new();
        for entry in &entries {
            push_entry(&mut bundle, entry).unwrap();
        }
        let width = u16::try_from(entries.len()).unwrap();
        let read = parse_bundle(width, &bundle).unwrap();
        prop_assert_eq!(read, entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let hashes = hash_bundle(width, &bundle).unwrap();
        let expected: Vec<_> = entries.iter().map(|entry| leaf_hash(entry)).collect();
        prop_assert_eq!(hashes.hashes(), expected);
        prop_assert!(parse_bundle(width + 1, &bundle).is_err());
        prop_assert!(width == 1 || parse_bundle(width - 1, &bundle).is_err());
        bundle.push(0);
        prop_assert!(parse_bundle(width, &bundle).is_err());
        bundle.truncate(bundle.len() - 2);
        prop_assert!(parse_bundle(width, &bundle).is_err());
    }

    #[test]
    fn no_bytes_break_the_reading_of_a_bundle(bytes in prop::collection::vec(any::<u8>(), 0..600), width in 1..=256_u16) {
        if let Ok(entries) = parse_bundle(width, &bytes) {
            let mut again = Vec::new();
            for entry in entries {
                push_entry(&mut again, entry).unwrap();
            }
            prop_assert_eq!(again, bytes);
        }
    }
}

#[test]
fn the_specifications_own_examples() {
    let path = |content, index, width| TileId::new(content, index, width).unwrap().to_string();
    let hashes = TileContent::Hashes(0);
    assert_eq!(path(hashes, 1_234_067, 256), "tile/0/x001/x234/067");
    assert_eq!(path(TileContent::Hashes(2), 0, 1), "tile/2/000.p/1");
    assert_eq!(
        path(TileContent::Entries, 273, 112),
        "tile/entries/273.p/112"
    );
    assert_eq!(
        path(TileContent::Entries, 1_000, 256),
        "tile/entries/x001/000"
    );
}

#[test]
fn what_is_no_tile_is_refused() {
    for bad in [
        "",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/0",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/+01",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000/",
        "/tile/0/000",
        "tile/entries/../000",
        "tile/data/000",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
    ] {
        assert!(bad.parse::<TileId>().is_err(), "{bad:?}");
    }
    assert!(TileId::new(TileContent::Entries, 0, 0).is_err());
    assert!(TileId::new(TileContent::Entries, 0, 257).is_err());
    assert!(TileId::new(TileContent::Hashes(64), 0, 1).is_err());
    assert!("x".repeat(10_000).parse::<TileId>().is_err());
    assert!(HashTile::new(Vec::new()).is_err());
    assert!(HashTile::parse(2, &[0; 32]).is_err());
    assert!(HashTile::parse(1, &[0; 33]).is_err());
    let mut bundle = Vec::new();
    assert!(push_entry(&mut bundle, &vec![0; ENTRY_LENGTH_MAX + 1]).is_err());
    assert!(bundle.is_empty());
    push_entry(&mut bundle, &vec![7; ENTRY_LENGTH_MAX]).unwrap();
    assert_eq!(
        parse_bundle(1, &bundle).unwrap(),
        [vec![7; ENTRY_LENGTH_MAX]]
    );
}

#[test]
fn subtrees_inside_a_tile_are_those_of_the_tree() {
    for width in 1..=256_u16 {
        let hashes: Vec<_> = (0..width).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let tile = HashTile::new(hashes.clone()).unwrap();
        assert_eq!(HashTile::parse(width, &tile.to_bytes()).unwrap(), tile);
        let (mut row, mut height) = (hashes, 0);
        while !row.is_empty() {
            for (n, hash) in row.iter().enumerate() {
                assert_eq!(tile.subtree(height, n as u64), Some(*hash));
            }
            assert_eq!(tile.subtree(height, row.len() as u64), None);
            let pairs = row.as_chunks::<2>().0.iter();
            row = pairs.map(|[left, right]| node_hash(left, right)).collect();
            height += 1;
        }
        assert_eq!(tile.root().is_some(), width == 256);
    }
}
