//! Records that are text, with something long, deep or many in them.

use serde_json::{Map, Value, json};

use super::Random;

fn long(random: &mut Random, most: usize) -> String {
    let length = random.size(most);
    random.text(length)
}

/// A value within lists, at most as deep as JSON is read.
fn deep(random: &mut Random, most: usize) -> Value {
    let mut value = json!(long(random, most));
    for _ in 0..random.pick(&[0, 0, 10, 100, 200]) {
        value = if random.below(2) == 0 { json!([value]) } else { json!({ "k": value }) };
    }
    value
}

fn object(random: &mut Random, most: usize) -> Map<String, Value> {
    let count = random.size(most / 10);
    let each = most / count;
    (0..count)
        .map(|index| (format!("{index}{}", long(random, each / 2)), json!(long(random, each / 2))))
        .collect()
}

/// RFC 3339 of a tick's time.
fn time(nanoseconds: u64) -> String {
    jiff::Timestamp::from_second((nanoseconds / 1_000_000_000) as i64).expect("a time").to_string()
}

pub fn prometheus(random: &mut Random, at: u64) -> Vec<u8> {
    let mut labels = object(random, random.budget / 2);
    labels.insert(random.pick(&["service", "job", "x"]).to_string(), json!(long(random, random.budget / 4)));
    let value = random.pick(&["1", "NaN", "1e308", "x"]);
    json!({ "timestamp": time(at), "value": value, "name": long(random, random.budget / 4), "labels": labels })
        .to_string()
        .into()
}

pub fn json_line(random: &mut Random, at: u64) -> Vec<u8> {
    let mut event = object(random, random.budget / 2);
    event.insert("message".to_string(), json!(long(random, random.budget / 4)));
    event.insert("service".to_string(), json!(long(random, random.budget / 4)));
    event.insert("level".to_string(), json!(long(random, 1000)));
    let stamp = if random.below(4) > 0 { json!(time(at)) } else { deep(random, random.budget / 4) };
    event.insert("@timestamp".to_string(), stamp);
    Value::Object(event).to_string().into()
}

pub fn inference(random: &mut Random, at: u64) -> Vec<u8> {
    let number = |random: &mut Random| json!(random.next() as f64);
    let inputs: Map<String, Value> = object(random, random.budget / 4)
        .into_iter()
        .map(|(key, text)| (key, if random.below(2) == 0 { text } else { number(random) }))
        .collect();
    json!({
        "time": time(at),
        "model": long(random, random.budget / 4),
        "version": long(random, random.budget / 4),
        "inputs": inputs,
        "prediction": long(random, 100),
        "score": 0.5,
        "label": long(random, 100),
        "group": object(random, random.budget / 4),
    })
    .to_string()
    .into()
}

pub fn cloud_event(random: &mut Random, at: u64) -> Vec<u8> {
    json!({
        "specversion": "1.0",
        "type": long(random, random.budget / 8),
        "id": format!("{at}{}", long(random, random.budget / 8)),
        "source": long(random, random.budget / 8),
        "subject": long(random, random.budget / 8),
        "time": time(at),
        "data": { "version": long(random, random.budget / 8), "service": long(random, random.budget / 8), "more": deep(random, random.budget / 8) },
    })
    .to_string()
    .into()
}

pub fn alerts(random: &mut Random, at: u64) -> Vec<u8> {
    let count = random.size(random.budget / 200);
    let each = random.budget / count;
    let alert = |index: usize| {
        let mut labels = object(random, each / 4);
        labels.insert("alertname".to_string(), json!(long(random, each / 8)));
        labels.insert("service".to_string(), json!(format!("{}{}", index % 5, long(random, each / 8))));
        json!({
            "status": random.pick(&["firing", "resolved"]),
            "labels": labels,
            "annotations": { "summary": long(random, each / 8) },
            "startsAt": time(at),
            "endsAt": time(at),
            "fingerprint": random.pick(&["", "same"]),
        })
    };
    let alerts: Vec<Value> = (0..count).map(alert).collect();
    json!({ "version": "4", "alerts": alerts }).to_string().into()
}

pub fn generic(random: &mut Random, at: u64) -> Vec<u8> {
    json!({
        "id": format!("{at}{}", long(random, random.budget / 4)),
        "kind": long(random, random.budget / 4),
        "service": long(random, random.budget / 4),
        "entity": long(random, random.budget / 4),
        "version": long(random, random.budget / 4),
        "time": time(at),
    })
    .to_string()
    .into()
}
