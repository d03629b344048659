"""Conversations in the form of the daemon's chat template (`User:`, `Assistant:`): stories as answers to requests for
them, and bAbI's questions. What the user says is derived from the text by rule; nothing here is written by a model."""
import random
import re
import tarfile

TOPIC = re.compile(
    r"there (?:was|lived) (an? [a-z]+(?: [a-z]+){0,2}?)(?: (?:named|called) ([A-Z][a-z]+))?(?=[.,]| who| that| in | with )"
    r"|(an? [a-z]+(?: [a-z]+){0,2}?) (?:named|called) ([A-Z][a-z]+)")
REQUESTS = ["Tell me a story about {}.", "Please tell me a story about {}.", "Can you tell me a story about {}?",
            "Write a short story about {}."]
ANY = ["Tell me a story.", "Please tell me a story.", "Can you tell me a story?", "Write a short story."]
OPENINGS = [
    ("Hello!", "Hello! Shall I tell you a story?"),
    ("Hi!", "Hello! What shall I tell you about?"),
    ("Good morning.", "Good morning! Would you like to hear a story?"),
    ("How are you?", "I am well, thank you. Shall I tell you a story?"),
    ("Who are you?", "I am a small language model. I tell short stories, and I keep what you teach me."),
    ("What are you?", "I am a small language model that keeps learning."),
    ("What can you do?", "I can tell short stories, and I can learn what you teach me."),
    ("What is your name?", "I have no name. I am a small language model."),
]
CLOSINGS = [
    ("Thank you!", "You are welcome!"), ("Thanks.", "You are welcome!"),
    ("That was nice.", "I am glad that you liked it."), ("Goodbye!", "Goodbye!"),
    ("I liked that.", "I am glad that you liked it."),
]
TASKS = ["qa1_", "qa5_", "qa6_", "qa12_"]
EACH = 4000  # questions of a task


def conversations(stories, seed=1):
    """One conversation a story, some with a greeting before or thanks behind, some with a second story."""
    draw = random.Random(seed)
    for story in stories:
        turns = [draw.choice(OPENINGS)] if draw.random() < 0.25 else []
        turns.append((request(story, draw), story))
        if draw.random() < 0.15:
            turns.append(draw.choice(CLOSINGS))
        elif draw.random() < 0.1:
            another = draw.choice(stories)
            turns.append((request(another, draw), another))
        yield rendered(turns)
    for opening in OPENINGS:
        for closing in CLOSINGS:
            yield rendered([opening, closing])


def rendered(turns):
    return "\n".join(f"User: {said}\nAssistant: {answer}" for said, answer in turns)


def request(story, draw):
    found = TOPIC.search(story[:300])
    if not found or draw.random() < 0.1:
        return draw.choice(ANY)
    topic, name = (found[1], found[2]) if found[1] else (found[3], found[4])
    if draw.random() < 0.5:
        words = topic.split()
        topic = f"{'an' if words[-1][0] in 'aeiou' else 'a'} {words[-1]}"  # without its adjectives
    if name and draw.random() < 0.5:
        topic = f"{topic} named {name}" if draw.random() < 0.7 else name
    return draw.choice(REQUESTS).format(topic)


def questions(archive):
    """Passages of bAbI up to a question, the question, and its answer as a sentence."""
    with tarfile.open(archive) as files:
        for member in sorted(files.getmembers(), key=lambda m: m.name):
            if member.name.split("/")[-1].startswith(tuple(TASKS)):
                text = files.extractfile(member).read().decode("utf-8")
                yield from list(passages(text))[:EACH]


def passages(text):
    facts = []
    for line in text.splitlines():
        number, rest = line.split(" ", 1)
        if number == "1":
            facts = []
        if "\t" not in rest:
            facts.append(rest.strip())
            continue
        question, answer, _ = rest.split("\t")
        yield rendered([(f"{' '.join(facts)} {question.strip()}", sentence(question.strip(), answer.strip()))])


def sentence(question, answer):
    where = re.fullmatch(r"Where is (\w+)\?", question)
    if where:
        return f"{where[1]} is in the {answer}."
    if answer in ("yes", "no") or answer[0].isupper():
        return f"{answer.capitalize()}."
    return f"The {answer}."
