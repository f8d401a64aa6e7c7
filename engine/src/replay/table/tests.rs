use std::sync::Arc;

use ::parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use arrow::{
    array::{
        ArrayRef, Date32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray,
    },
    datatypes::Int32Type,
};

use super::*;

fn read(name: &str, content: &[u8], options: &TableOptions) -> Result<Table, TableError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    Table::read(&path, None, options)
}

fn csv(text: &str) -> Result<Table, TableError> {
    read("a.csv", text.as_bytes(), &stamped())
}

fn ndjson(text: &str) -> Result<Table, TableError> {
    read("a.ndjson", text.as_bytes(), &stamped())
}

fn stamped() -> TableOptions {
    TableOptions { timestamp_column: "timestamp".to_string(), ..TableOptions::default() }
}

/// A Parquet file of these columns, two rows per row group.
fn parquet(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Result<Table, TableError> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(2)).set_compression(compression).build();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    read("a.parquet", &content, &stamped())
}

/// The table as text, one line per row.
fn shown(table: &Table) -> Vec<String> {
    let mut lines = vec![table.series.join(" ")];
    for row in 0..table.rows() {
        let values: Vec<String> = table.row(row).iter().map(f64::to_string).collect();
        lines.push(format!("{} {} {}", table.stamp(row), table.times_ms[row], values.join(" ")));
    }
    lines
}

#[test]
fn wide_csv_keeps_its_columns_and_counts_what_is_no_number() {
    let table = csv("a,timestamp,b\n1,0,x\n,60,2\n").unwrap();
    assert_eq!(shown(&table), ["a b", "0 0 1 NaN", "60 60000 NaN 2"]);
    assert_eq!(table.unreadable, 1);
}

#[test]
fn bare_values_need_no_header() {
    let options = TableOptions { step_seconds: Some(10), ..TableOptions::default() };
    let table = read("a.csv", b"1\n2\n3\n", &options).unwrap();
    assert_eq!(shown(&table), ["value", "0 0 1", "1 10000 2", "2 20000 3"]);
    let table = read("a.ndjson", b"{\"value\":1}\n{\"value\":2}\n", &options).unwrap();
    assert_eq!(shown(&table), ["value", "0 0 1", "1 10000 2"]);
}

#[test]
fn columns_can_name_their_entity() {
    let read = |separator: Option<&str>| {
        let options = TableOptions { entity_separator: separator.map(str::to_string), ..stamped() };
        read("fleet.csv", b"timestamp,cart/cpu,cart/io/read,load\n0,1,2,3\n", &options).unwrap()
    };
    let named = |table: &Table| {
        let parts = table.series.iter().map(|series| table.entity_and_measure(series));
        parts.map(|(entity, measure)| format!("{entity} {measure}")).collect::<Vec<_>>()
    };
    assert_eq!(named(&read(Some("/"))), ["cart cpu", "cart io/read", "fleet load"]);
    assert_eq!(named(&read(None)), ["fleet cart/cpu", "fleet cart/io/read", "fleet load"]);
}

#[test]
fn objects_are_flat_and_columns_stand_in_the_order_of_their_keys() {
    let table = ndjson(
        r#"{"host":"a","cpu":{"user":null,"system":0.1},"timestamp":"2014-04-01T00:00:00Z","ok":true}
{"timestamp":1396310460,"cpu":{"system":"0.30000000000000004","user":2},"late":-1e3}

{"timestamp":1396310520000,"cpu":{"user":"n/a"},"host":"b","tags":[1]}"#,
    )
    .unwrap();
    let expected = [
        "cpu.user cpu.system late",
        "2014-04-01T00:00:00Z 1396310400000 NaN 0.1 NaN",
        "1396310460 1396310460000 2 0.30000000000000004 -1000",
        "1396310520000 1396310520000 NaN NaN NaN",
    ];
    assert_eq!(shown(&table), expected);
    assert_eq!(table.left_out, ["host", "ok", "tags"]);
    assert_eq!((table.unreadable, table.refused.count), (1, 0));
}

#[test]
fn many_keys_that_come_late_keep_their_places() {
    let lines = (0..40).map(|row| format!("{{\"timestamp\":{row},\"k{row:02}\":{row},\"k00\":7}}\n"));
    let table = ndjson(&lines.collect::<String>()).unwrap();
    assert_eq!(table.series.len(), 40);
    assert!(table.series.is_sorted());
    for row in 1..40 {
        let known: Vec<(usize, f64)> =
            table.row(row).iter().copied().enumerate().filter(|(_, value)| !value.is_nan()).collect();
        assert_eq!(known, [(0, 7.0), (row, row as f64)]);
    }
    let wild = (0..=MAX_SERIES).map(|row| format!("{{\"timestamp\":{row},\"k{row}\":1}}\n"));
    let error = ndjson(&wild.collect::<String>()).unwrap_err().to_string();
    assert!(error.contains("--ignore-column"), "{error}");
}

#[test]
fn times_of_every_type_are_times_and_what_is_no_number_is_left_out() {
    let seconds = [1_396_310_400_i64, 1_396_396_800, 1_396_483_200];
    let scaled = |scale: i64| seconds.map(|time| time * scale);
    let days = Date32Array::from_iter_values(seconds.map(|time| (time / 86_400) as i32));
    let iso = StringArray::from_iter_values(
        ["2014-04-01", "2014-04-02", "2014-04-03"].map(|day| format!("{day}T00:00:00Z")),
    );
    let forms: [(ArrayRef, &str); 7] = [
        (Arc::new(TimestampSecondArray::from(scaled(1).to_vec())), "2014-04-02T00:00:00Z"),
        (
            Arc::new(TimestampMicrosecondArray::from(scaled(1_000_000).to_vec()).with_timezone("+02:00")),
            "2014-04-02T00:00:00Z",
        ),
        (Arc::new(TimestampNanosecondArray::from(scaled(1_000_000_000).to_vec())), "2014-04-02T00:00:00Z"),
        (Arc::new(days), "2014-04-02T00:00:00Z"),
        (Arc::new(Int64Array::from(scaled(1000).to_vec())), "1396396800000"),
        (Arc::new(Int64Array::from(scaled(1_000_000_000).to_vec())), "1396396800000000000"),
        (Arc::new(iso), "2014-04-02T00:00:00Z"),
    ];
    for (times, stamp) in forms {
        let kind = times.data_type().to_string();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("host", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
            ("b", Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]))),
            ("timestamp", times),
            ("a", Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]))),
        ];
        let table = parquet(columns, Compression::SNAPPY).unwrap();
        assert_eq!(table.series, ["b", "a"], "{kind}");
        assert_eq!(table.times_ms, scaled(1000), "{kind}");
        assert_eq!(table.stamp(1), stamp, "{kind}");
        assert_eq!(table.row(2), [3.0, 2.5], "{kind}");
        assert!(table.row(1)[0].is_nan(), "{kind}");
        assert_eq!(table.left_out, ["host"], "{kind}");
    }
}

#[test]
fn rows_without_a_time_are_refused_and_the_rest_goes_on() {
    let table = csv("timestamp,value\n1,2\nsoon,3\n5\n7,8\n").unwrap();
    assert_eq!(shown(&table), ["value", "1 1000 2", "7 7000 8"]);
    assert_eq!(table.refused.count, 2);
    let words = &table.refused.first;
    assert!(
        words[0].contains("a.csv, line 3: \"soon\"") && words[1].contains("line 4: 1 cells"),
        "{words:?}"
    );
    let table =
        ndjson("{\"timestamp\":1,\"value\":2}\n[1]\n{\"value\":3}\n{\"timestamp\":7,\"value\":8}\n{\"timest")
            .unwrap();
    assert_eq!(shown(&table), ["value", "1 1000 2", "7 7000 8"]);
    let places: Vec<bool> = [2, 3, 5]
        .iter()
        .zip(&table.refused.first)
        .map(|(line, words)| words.contains(&format!("line {line}: ")))
        .collect();
    assert_eq!((table.refused.count, places), (3, vec![true; 3]), "{:?}", table.refused.first);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("timestamp", Arc::new(Int64Array::from(vec![Some(1), None, Some(7)]))),
        ("value", Arc::new(Int32Array::from(vec![2, 3, 8]))),
    ];
    let table = parquet(columns, Compression::ZSTD(Default::default())).unwrap();
    assert_eq!(shown(&table), ["value", "1 1000 2", "7 7000 8"]);
    assert!(table.refused.first[0].contains("row 2"), "{:?}", table.refused.first);
}

#[test]
fn dictionaries_and_gzip_inside_are_read() {
    let stamps: arrow::array::DictionaryArray<Int32Type> = ["60", "120", "60"].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("timestamp", Arc::new(stamps)), ("value", Arc::new(Int32Array::from(vec![1, 2, 3])))];
    let table = parquet(columns, Compression::GZIP(Default::default())).unwrap();
    assert_eq!(shown(&table), ["value", "60 60000 1", "120 120000 2", "60 60000 3"]);
}

#[test]
fn errors_name_the_file_and_the_way_out() {
    let values: Vec<(&str, ArrayRef)> = vec![("value", Arc::new(Int32Array::from(vec![1])))];
    let words: Vec<(&str, ArrayRef)> =
        vec![("timestamp", Arc::new(arrow::array::BooleanArray::from(vec![true])))];
    let cases = [
        (
            csv("time,value\n1,2\n"),
            "a.csv has no column \"timestamp\" (it has time, value): name it with --timestamp-column",
        ),
        (ndjson("{\"time\":1,\"v\":{\"x\":2}}"), "a.ndjson has no column \"timestamp\" (it has time, v.x)"),
        (parquet(values, Compression::SNAPPY), "a.parquet has no column \"timestamp\" (it has value)"),
        (parquet(words, Compression::SNAPPY), "column \"timestamp\" is Boolean, no time"),
        (ndjson("{\"timestamp\":1,\"host\":\"a\"}"), "a.ndjson has no column of values"),
        (csv(""), "a.csv has no column of values"),
        (ndjson("no\nJSON\n"), "a.ndjson has no row that can be read; the first problem: "),
        (read("a.parquet", b"PAR1 and more", &stamped()), "cannot read "),
        (read("a.jsonl", b"{\"resourceLogs\":[]}", &stamped()), "is no table of values"),
    ];
    for (result, words) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}\n  should say {words:?}");
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let text = format!("{{\"timestamp\":1,\"value\":2}}\n{}\n", deep(100_000));
    let table = ndjson(&text).unwrap();
    assert_eq!(table.refused.count, 1);
    assert!(table.refused.first[0].contains("nested deeper"), "{:?}", table.refused.first);
}
