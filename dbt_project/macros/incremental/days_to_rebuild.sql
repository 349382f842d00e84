{#
    The days that an incremental run of this model has to build: those of the ledger whose fingerprint is not the one that
    the model holds, and those that were asked for. `built` is a query for operation_date and day_fingerprint of what it
    holds. None in a full refresh, which builds them all. The answer is looked up before the model runs, so that its query
    names the days: only then does a database skip what lies outside of them.
#}
{% macro days_to_rebuild(built) -%}
    {%- if not execute -%}
        {%- do ref('int_operation_days') -%}
    {%- elif is_incremental() -%}
        {%- set days = run_query(
            'select ledger.operation_date from ' ~ ref('int_operation_days') ~ ' as ledger left join (' ~ built ~ ') as built'
            ~ ' on ledger.operation_date = built.operation_date'
            ~ " where ledger.day_fingerprint <> coalesce(built.day_fingerprint, '')"
            ~ ' or ledger.day_fingerprint is not null and ' ~ is_asked_for('ledger.operation_date')
        ) -%}
        {{ return(days.columns[0].values()) }}
    {%- endif -%}
    {{ return(none) }}
{%- endmacro %}
