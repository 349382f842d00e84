"""What providers billed: their own cost exports, read (`reading`) and loaded by whole days (`loading`).

`openai`, `anthropic` and `plain` each know one provider's formats, `lines` what a line may hold.
"""
